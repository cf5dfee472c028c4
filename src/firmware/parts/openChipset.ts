import { hex } from '../../formats/binary.ts';
import { readFitTable } from '../../formats/fit.ts';
import { readMicrocode } from '../../formats/microcode.ts';
import { type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

const FIT_ENTRY = 16;

/** Microcode updates, by the processors that they are for. */
export function openMicrocode(content: Uint8Array): Opened {
  const updates = readMicrocode(content).map(({ offset, size, revision, date, processors }) => {
    const names = [...new Set(processors.map(({ name }) => name))];
    return new Part({
      name: names.join(' '),
      kind: 'microcode-update',
      offset,
      content: content.subarray(offset, offset + size),
      facts: {
        revision: hex(revision),
        date,
        platforms: [...new Set(processors.map(({ platforms }) => hex(platforms)))],
      },
    });
  });
  return { parts: tile(content, updates) };
}

/** The table by which the processor finds microcode; what its entries point to lies elsewhere. */
export function openFit(content: Uint8Array): Opened {
  const entries = readFitTable(content, 0).map(
    ({ name, address, size, version }, index) =>
      new Part({
        name,
        kind: 'fit-entry',
        offset: (index + 1) * FIT_ENTRY,
        content: content.subarray((index + 1) * FIT_ENTRY, (index + 2) * FIT_ENTRY),
        facts: { address: `0x${address.toString(16)}`, points: size, version: hex(version) },
      }),
  );
  const header = new Part({ name: 'header', kind: 'fit-entry', offset: 0, content: content.subarray(0, FIT_ENTRY) });
  return { parts: tile(content, [header, ...entries]), facts: { entries: entries.length } };
}
