import type { Part } from './part.ts';

/** A part, and where it lies. */
export interface PlacedPart {
  readonly part: Part;
  /** Names from the root to the part. */
  readonly path: readonly string[];
  /** Bytes from the beginning of the image; undefined for what lies in something packed. */
  readonly place: number | undefined;
}

/** The root of a tree, where it lies. */
export function placedRoot(root: Part): PlacedPart {
  return { part: root, path: [root.name], place: 0 };
}

/** The parts of a part, where they lie. */
export function placedParts({ part, path, place }: PlacedPart): readonly PlacedPart[] {
  const start = place === undefined || part.unpacked !== undefined ? undefined : place + (part.header?.length ?? 0);
  return part.parts.map((inner) => ({
    part: inner,
    path: [...path, inner.name],
    place: start === undefined ? undefined : start + inner.offset,
  }));
}

/** All parts of a tree, the outer ones first; what `enter` refuses is not looked into. */
export function* walkPlaces(
  from: PlacedPart,
  enter: (placed: PlacedPart) => boolean = () => true,
): Generator<PlacedPart> {
  yield from;
  if (!enter(from)) return;
  for (const inner of placedParts(from)) yield* walkPlaces(inner, enter);
}
