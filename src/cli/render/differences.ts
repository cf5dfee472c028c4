import type { PathDifference } from '../../firmware/diffPaths.ts';
import { printable } from '../../model/printable.ts';

/** One difference of two files or folders: a line, and lines of text that differ below it; or a line of JSON. */
export function differenceText({ path, change, detail }: PathDifference, json: boolean): string {
  if (json) return `${JSON.stringify({ path, change, detail })}\n`;
  return `${printable(`${path.join(' → ')}: ${change}: ${detail}`).replaceAll('\n', '\n    ')}\n`;
}
