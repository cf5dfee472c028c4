import { styleText } from 'node:util';
import { isFlash, type Part } from '../../firmware/parts/part.ts';
import type { Producer } from '../../firmware/producers.ts';
import { printable } from '../../model/printable.ts';
import { formatBytes } from '../format.ts';
import { factsText, producerText } from './romFacts.ts';

/** How much of a tree is shown. */
export interface TreeOptions {
  /** Levels below the image. */
  readonly depth: number;
  /** Sections of programs and files, and what formats need for themselves. */
  readonly all: boolean;
  readonly color: boolean;
}

/** What is left out unless everything is wanted. */
const DETAILS: readonly Part['kind'][] = ['rest', 'ffs-section', 'program-section', 'fit-entry'];

/** The tree of an image for a terminal: name, size, facts, and the recipe where that changes. */
export function renderTree(
  root: Part,
  producers: ReadonlyMap<Part, Producer>,
  { depth, all, color }: TreeOptions,
): string {
  const rows: Row[] = [];
  const add = (part: Part, lead: string, inner: string, level: number, from: string): void => {
    const producer = producers.get(part);
    const maker = producer === undefined ? from : producerText(producer);
    rows.push({ part, name: lead + printable(part.name), facts: factsText(part), from: maker === from ? '' : maker });
    if (level >= depth) return;
    const shown = visible(part, all);
    shown.forEach((child, index) => {
      const last = index === shown.length - 1;
      add(child, `${inner}${last ? '└ ' : '├ '}`, `${inner}${last ? '  ' : '│ '}`, level + 1, maker);
    });
  };
  add(root, '', '', 0, '');
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows.map((row) => renderRow(row, width, color)).join('');
}

interface Row {
  readonly part: Part;
  readonly name: string;
  readonly facts: string;
  readonly from: string;
}

/** What is shown of a part's parts: not the details, and free room only where something could be put. */
function visible(part: Part, all: boolean): readonly Part[] {
  if (all) return part.parts;
  return part.parts.flatMap((child) => {
    if (child.kind === 'free') return isFlash(part) && child.size < part.size ? [child] : [];
    // Sections stand between a UEFI file and the volumes in it, and lead to them.
    return DETAILS.includes(child.kind) ? visible(child, all) : [child];
  });
}

function renderRow({ part, name, facts, from }: Row, width: number, color: boolean): string {
  const paint = (format: 'dim' | 'red' | 'cyan', text: string): string =>
    color && text !== '' ? styleText(format, text, { validateStream: false }) : text;
  const columns = [
    name.padEnd(width),
    formatBytes(part.size).padStart(10),
    part.kind === 'free' ? paint('dim', facts) : facts,
    from === '' ? '' : paint('cyan', `from ${from}`),
  ];
  const line = columns
    .filter((column) => column !== '')
    .join('  ')
    .trimEnd();
  const problems = part.problems.map((problem) =>
    paint('red', `${' '.repeat(name.length - name.trimStart().length)}! ${printable(problem)}`),
  );
  return [line, ...problems].map((text) => `${text}\n`).join('');
}
