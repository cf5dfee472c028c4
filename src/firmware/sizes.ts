import { isFlash, type Part } from './parts/part.ts';

/** What takes room in flash: a file, a segment of the payload, an area without files. */
export interface RoomRow {
  /** From the file on, or the area's name: `fallback/payload › kernel`. */
  readonly name: string;
  /** Bytes of flash. */
  readonly size: number;
  readonly part: Part;
}

/** What takes the room of an image, the largest first; free room and empty areas are left out. */
export function roomRows(root: Part): readonly RoomRow[] {
  const rows: RoomRow[] = [];
  const add = (part: Part, lead: readonly string[]): void => {
    if (part.kind === 'free' || part.kind === 'rest') return;
    const name = [...lead, part.name];
    if (part.parts.length === 0 || !(isFlash(part) || isPayload(part))) {
      rows.push({ name: name.join(' › '), size: part.size, part });
      return;
    }
    for (const inner of part.parts) add(inner, isFlash(part) ? [] : name);
  };
  add(root, []);
  return rows.toSorted((a, b) => b.size - a.size);
}

/** A payload of segments, of which each has its own size. */
function isPayload({ kind, unpacked, parts }: Part): boolean {
  return kind === 'cbfs-file' && unpacked === undefined && parts.some((inner) => inner.kind === 'segment');
}

/** A part that has another size than before. */
export interface Growth {
  /** `COREBOOT › fallback/payload › initramfs › bbin/bb`. */
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** Bytes of what is packed; what it costs in flash is less. */
  readonly packed: boolean;
}

/**
 * What grew and shrank from one image to the next, those that changed most first: what has room of its own in flash, and
 * the deepest parts of what is packed in it.
 */
export function growths(before: Part, after: Part): readonly Growth[] {
  return growthsOf({ before, after }, [], false).toSorted(
    (a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before),
  );
}

/** The same part of both images; what is new or gone is only in one. */
interface Pair {
  readonly before: Part | undefined;
  readonly after: Part | undefined;
}

function growthsOf({ before, after }: Pair, path: readonly string[], packed: boolean): readonly Growth[] {
  const sizes = { before: before?.size ?? 0, after: after?.size ?? 0 };
  const own = sizes.before === sizes.after ? [] : [{ name: path.join(' › '), ...sizes, packed }];
  if (before === undefined || after === undefined || before.digest === after.digest) return own;
  const isHolder = (part: Part): boolean => isFlash(part) || isPayload(part);
  const inner = (inPacked: boolean): readonly Growth[] =>
    pairs(before, after).flatMap((pair) =>
      growthsOf(pair, [...path, (pair.after ?? pair.before)?.name ?? ''], inPacked),
    );
  if (isHolder(before) && isHolder(after)) return inner(packed);
  if (packed) return nonEmpty(inner(true)) ?? own;
  return before.unpacked === undefined || after.unpacked === undefined ? own : [...own, ...inner(true)];
}

function pairs(before: Part, after: Part): readonly Pair[] {
  const isFree = ({ kind }: Part): boolean => kind === 'free';
  const old = new Map(before.parts.filter((part) => !isFree(part)).map((part) => [part.name, part]));
  const paired = after.parts
    .filter((part) => !isFree(part))
    .map((part): Pair => {
      const match = old.get(part.name);
      old.delete(part.name);
      return { before: match, after: part };
    });
  return [...paired, ...[...old.values()].map((part): Pair => ({ before: part, after: undefined }))];
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}
