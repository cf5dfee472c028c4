import { hex } from '../formats/binary.ts';
import type { Facts, Part } from './parts/part.ts';

/** One way in which two trees of parts are not the same. */
export interface Difference {
  /** The parts from the root down to the one that differs, which is the last; as `after` has them, but for what was removed. */
  readonly path: readonly Part[];
  /** `moved`: the same content and facts, but elsewhere, or with another header. */
  readonly change: 'added' | 'removed' | 'changed' | 'moved';
  readonly before: Part | undefined;
  readonly after: Part | undefined;
  /** What is different, in words. */
  readonly detail: string;
}

/** Two trees; both have the same path so far. */
interface Pair {
  readonly before: Part;
  readonly after: Part;
  readonly path: readonly Part[];
}

/**
 * Every difference of two images, each down to the deepest parts that differ: ROM, area, file, payload, initramfs, file. Parts are
 * paired by their names. What is the same is not looked into, so that nothing is unpacked for it. Free room counts only where
 * nothing else explains that two parts differ. The trees are given as they come; `after` is what `before` became.
 *
 * @returns nothing exactly if both have the same bytes.
 */
export function compareTrees(before: Part, after: Part): readonly Difference[] {
  return comparePair({ before, after, path: [after] });
}

/** The names on the way to a difference, below the root: `SI_BIOS › COREBOOT › fallback/payload`. */
export function pathText({ path }: Pick<Difference, 'path'>): string {
  const names = path.slice(1).map(({ name }) => name);
  return names.length === 0 ? (path[0]?.name ?? '') : names.join(' › ');
}

/** Differences in content and in what headers say; places only count for the caller if there are none of these. */
function comparePair({ before, after, path }: Pair): readonly Difference[] {
  const sameContent = equal(before.content, after.content);
  const facts = factsThatDiffer(before.ownFacts, after.ownFacts);
  if (sameContent && facts.length === 0) return [];
  const own: Difference[] =
    facts.length === 0 ? [] : [{ path, change: 'changed', before, after, detail: facts.join(', ') }];
  if (sameContent) return own;
  const deeper = compareParts({ before, after, path });
  if (deeper.length > 0) return [...own, ...deeper];
  if (own.length > 0) return own;
  return [{ path, change: 'changed', before, after, detail: bytesThatDiffer(before, after) }];
}

function compareParts({ before, after, path }: Pair): readonly Difference[] {
  const old = new Map(before.parts.map((part) => [part.name, part]));
  const differences: Difference[] = [];
  const moved: Difference[] = [];
  for (const part of after.parts) {
    const previous = old.get(part.name);
    old.delete(part.name);
    const pair = previous && { before: previous, after: part, path: [...path, part] };
    if (pair === undefined) {
      if (part.kind !== 'free') differences.push(lone('added', part, path));
    } else if (part.kind !== 'free' || previous?.kind !== 'free') {
      const found = comparePair(pair);
      differences.push(...found);
      if (found.length === 0) moved.push(...move(pair));
    }
  }
  for (const part of old.values()) if (part.kind !== 'free') differences.push(lone('removed', part, path));
  return differences.length > 0 ? differences : moved;
}

function lone(change: 'added' | 'removed', part: Part, path: readonly Part[]): Difference {
  const detail = `${part.size} bytes`;
  return change === 'added'
    ? { path: [...path, part], change, before: undefined, after: part, detail }
    : { path: [...path, part], change, before: part, after: undefined, detail };
}

function move({ before, after, path }: Pair): readonly Difference[] {
  const details = [
    ...(before.offset === after.offset ? [] : [`from ${hex(before.offset)} to ${hex(after.offset)}`]),
    ...(equal(before.header ?? new Uint8Array(), after.header ?? new Uint8Array()) ? [] : ['another header']),
  ];
  return details.length === 0 ? [] : [{ path, change: 'moved', before, after, detail: details.join(', ') }];
}

function factsThatDiffer(before: Facts, after: Facts): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [old, now] = [String(before[name] ?? 'none'), String(after[name] ?? 'none')];
    return old === now ? [] : [`${name}: ${old} → ${now}`];
  });
}

/** How many bytes are not the same, and the first of them. */
function bytesThatDiffer({ content: before, unpacked: was }: Part, { content: after, unpacked: is }: Part): string {
  const same = was !== undefined && is !== undefined && equal(was, is);
  if (before.length !== after.length) {
    return `${before.length} → ${after.length} bytes${same ? ', the same when unpacked' : ''}`;
  }
  let count = 0;
  let first = -1;
  for (let at = 0; at < after.length; at++) {
    if (before[at] === after[at]) continue;
    count++;
    if (first === -1) first = at;
  }
  return `${count} of ${after.length} bytes, the first at ${hex(first)}${same ? '; the same when unpacked' : ''}`;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
