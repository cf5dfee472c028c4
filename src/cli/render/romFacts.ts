import type { Facts, Part } from '../../firmware/parts/part.ts';
import type { Producer } from '../../firmware/producers.ts';
import { printable } from '../../model/printable.ts';
import { formatBytes } from '../format.ts';

/** What people want to know of a part, in a few words. Images may hold any bytes: what could play tricks is taken out. */
export function factsText(part: Part): string {
  if (part.kind === 'free') return 'free';
  const { facts, parts } = part;
  const [only] = parts;
  if (only?.kind === 'free' && only.size === part.size) return 'empty';
  const words = [
    facts['type'],
    compressionText(facts),
    // What follows Linux's version is who built it and how.
    facts['version'] === undefined ? undefined : text(facts['version']).split(' (')[0],
    facts['text'] === undefined ? undefined : JSON.stringify(facts['text']),
    facts['target'] === undefined ? undefined : `→ ${text(facts['target'])}`,
    facts['component'],
    facts['revision'] === undefined ? undefined : `revision ${text(facts['revision'])}`,
    facts['date'],
    facts['format'],
    facts['flashMap'] === undefined ? undefined : `flash map ${text(facts['flashMap'])}`,
    facts['fitEntries'] === undefined ? undefined : `FIT with ${text(facts['fitEntries'])} entries`,
  ];
  return printable(words.flatMap((word) => (word === undefined || word === '' ? [] : [text(word)])).join(', '));
}

function compressionText({ compression, unpackedSize }: Facts): string | undefined {
  if (compression === undefined) return undefined;
  return typeof unpackedSize === 'number' ? `${text(compression)} of ${formatBytes(unpackedSize)}` : text(compression);
}

function text(value: Facts[string]): string {
  return Array.isArray(value) ? value.join(' ') : String(value);
}

/** Where a part is from, in a few words. */
export function producerText(producer: Producer): string {
  return 'slot' in producer ? `vendor blob ${producer.slot}` : `${producer.target} (${producer.file})`;
}
