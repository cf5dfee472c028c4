import { isElf, readElf } from '../../formats/elf.ts';
import { isPe, readPe } from '../../formats/pe.ts';
import { type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

/** The sections of a program; undefined if it is neither an ELF file nor a PE one. */
export function openProgram(content: Uint8Array): Opened | undefined {
  if (!isElf(content) && !isPe(content)) return undefined;
  const { format, machine, sections } = isElf(content) ? readElf(content) : readPe(content);
  const parts = sections
    .filter(({ size }) => size > 0)
    .map(
      ({ name, offset, size }) =>
        new Part({
          name,
          kind: 'program-section',
          offset,
          content: content.subarray(offset, offset + size),
        }),
    );
  return { parts: tile(content, parts, 64), facts: { format, machine } };
}
