import { printable } from '../model/printable.ts';

/** Text that is longer is no text that a person reads. */
const MAX_TEXT = 4 * 1024 * 1024;
const MAX_LINES = 6;
const MAX_LINE = 160;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The first lines that differ, one way for each side; undefined if one of the two is no text. */
export function diffText(before: Uint8Array, after: Uint8Array): string | undefined {
  const [was, is] = [linesOf(before), linesOf(after)];
  if (was === undefined || is === undefined) return undefined;
  const first = was.findIndex((line, index) => line !== is[index]);
  const from = first === -1 ? was.length : first;
  // What both end with is the same again.
  let end = 0;
  while (end < Math.min(was.length, is.length) - from && was.at(-1 - end) === is.at(-1 - end)) end += 1;
  const show = (sign: string, lines: readonly string[]): string[] => {
    const differing = lines.slice(from, lines.length - end);
    const shown = differing.slice(0, MAX_LINES).map((line) => `${sign} ${printable(line).slice(0, MAX_LINE)}`);
    return differing.length > MAX_LINES ? [...shown, `${sign} … ${differing.length - MAX_LINES} more`] : shown;
  };
  return [`from line ${from + 1}`, ...show('-', was), ...show('+', is)].join('\n');
}

function linesOf(bytes: Uint8Array): readonly string[] | undefined {
  if (bytes.length > MAX_TEXT || bytes.includes(0)) return undefined;
  try {
    return decoder.decode(bytes).split('\n');
  } catch {
    return undefined;
  }
}
