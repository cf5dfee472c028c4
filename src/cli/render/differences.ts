import type { Producer } from '../../firmware/producers.ts';
import { printable } from '../../model/printable.ts';
import type { NamedDifference } from '../namedDifferences.ts';

/** One difference of two files or folders for people: a line, and lines of text that differ below it. */
export function differenceText({ path, change, detail, producer }: NamedDifference): string {
  const [what, ...lines] = detail.split('\n');
  const maker = producer === undefined ? '' : `; ${makerText(producer)}`;
  const text = [`${path.join(' → ')}: ${change}: ${what}${maker}`, ...lines].join('\n');
  return `${printable(text).replaceAll('\n', '\n    ')}\n`;
}

/** The same for JSON. */
export function differenceRecord({ path, change, detail, producer }: NamedDifference): object {
  return { path, change, detail, producer };
}

function makerText(producer: Producer): string {
  return 'slot' in producer ? `blob ${producer.slot}` : `produced by recipe ${producer.target}`;
}
