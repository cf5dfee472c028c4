import { isBlank } from '../../formats/binary.ts';
import { Part } from './part.ts';

/**
 * Parts in the order of their places, with what lies between them as parts of their own, so that nothing of `content` is missing.
 * Parts may overlap where a damaged image has them do so. Gaps of a format's own padding, shorter than `padding` bytes and blank,
 * are left out.
 */
export function tile(content: Uint8Array, parts: readonly Part[], padding = 0): readonly Part[] {
  const tiled: Part[] = [];
  let end = 0;
  const fill = (until: number): void => {
    if (until <= end) return;
    const gap = content.subarray(end, until);
    const blank = isBlank(gap);
    if (!blank || gap.length >= padding) tiled.push(blank ? freePart(end, gap) : restPart(end, gap));
  };
  for (const part of parts.toSorted((a, b) => a.offset - b.offset)) {
    fill(part.offset);
    tiled.push(part);
    end = Math.max(end, part.offset + part.size);
  }
  fill(content.length);
  return distinct(tiled);
}

/** Room in which nothing is stored. */
function freePart(offset: number, content: Uint8Array): Part {
  return new Part({ name: '(empty)', kind: 'free', offset, content });
}

function restPart(offset: number, content: Uint8Array): Part {
  return new Part({ name: '(rest)', kind: 'rest', offset, content });
}

/** Siblings of the same name are numbered: `(empty)`, `(empty) #2`. */
function distinct(parts: readonly Part[]): readonly Part[] {
  const seen = new Map<string, number>();
  return parts.map((part) => {
    const count = (seen.get(part.name) ?? 0) + 1;
    seen.set(part.name, count);
    return count === 1 ? part : part.renamed(`${part.name} #${count}`);
  });
}
