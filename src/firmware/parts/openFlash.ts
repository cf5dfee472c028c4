import { FormatError, hex, isBlank } from '../../formats/binary.ts';
import { findFirmwareVolumes } from '../../formats/firmwareVolume.ts';
import { findFlashMap, type FlashMap } from '../../formats/fmap.ts';
import { checkRegions, hasFlashDescriptor, readFlashDescriptor } from '../../formats/ifd.ts';
import { isCbfsArea, openCbfs } from './openCbfs.ts';
import type { Opening } from './opening.ts';
import { openVolumes } from './openVolumes.ts';
import { type Facts, type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

/** A place in flash that has a name, and the places inside it. */
interface Place {
  readonly name: string;
  readonly kind: 'region' | 'area';
  readonly offset: number;
  readonly end: number;
  readonly facts: Facts;
  readonly problems: string[];
  readonly inner: Place[];
}

/**
 * A flash image as its descriptor and its flash map divide it, nested by what lies inside of what; undefined if it has
 * neither.
 */
export function openFlash(image: Uint8Array, opening: Opening): Opened | undefined {
  const map = findFlashMap(image);
  if (map === undefined && !hasFlashDescriptor(image)) return undefined;
  const problems: string[] = [];
  const byMap = opening.division === 'map' && map !== undefined;
  const places = [...(byMap ? [] : regions(image, problems)), ...areas(image, map, problems)];
  return {
    parts: tile(
      image,
      nest(places).map((place) => placePart(image, place, 0, opening)),
    ),
    facts: map === undefined ? {} : { flashMap: map.name, flashMapAt: hex(map.offset) },
    problems,
  };
}

function regions(image: Uint8Array, problems: string[]): readonly Place[] {
  if (!hasFlashDescriptor(image)) return [];
  try {
    const descriptor = readFlashDescriptor(image);
    try {
      checkRegions(descriptor, image.length);
    } catch (error) {
      problems.push(messageOf(error));
    }
    const { components, chipSize } = descriptor;
    return inside(image, problems, descriptor.regions).map(({ name, offset, end }) => {
      return place('region', name, offset, end, name === 'fd' ? { chips: components, chipSize } : {});
    });
  } catch (error) {
    problems.push(messageOf(error));
    return [];
  }
}

function areas(image: Uint8Array, map: FlashMap | undefined, problems: string[]): readonly Place[] {
  if (map === undefined) return [];
  if (map.size !== image.length) {
    problems.push(`the flash map is that of a flash of ${map.size} bytes, and this has ${image.length}`);
  }
  return inside(image, problems, map.areas).map(({ name, offset, end, flags }) =>
    place('area', name, offset, end, flags.length === 0 ? {} : { flags }),
  );
}

/** Those places that begin in the image, cut off where it ends. */
function inside<T extends { readonly name: string; readonly offset: number; readonly size: number }>(
  image: Uint8Array,
  problems: string[],
  places: readonly T[],
): readonly (T & { readonly end: number })[] {
  return places.flatMap((one) => {
    const end = one.offset + one.size;
    if (end > image.length) {
      problems.push(
        `${one.name} (${hex(one.offset)} to ${hex(end)}) leaves the image, which ends at ${hex(image.length)}`,
      );
    }
    if (one.size === 0 || one.offset >= image.length) return [];
    return [{ ...one, end: Math.min(end, image.length) }];
  });
}

function place(kind: Place['kind'], name: string, offset: number, end: number, facts: Facts): Place {
  return { name, kind, offset, end, facts, problems: [], inner: [] };
}

/** Outer places hold the inner ones. What overlaps without lying inside stands beside, and says so. */
function nest(places: readonly Place[]): readonly Place[] {
  const outermost: Place[] = [];
  const open: Place[] = [];
  // Of two that begin together the longer is the outer one; of two that are the same, the descriptor's.
  const order = places.toSorted(
    (a, b) => a.offset - b.offset || b.end - a.end || Number(a.kind === 'area') - Number(b.kind === 'area'),
  );
  for (const one of order) {
    for (let outer = open.at(-1); outer !== undefined && outer.end < one.end; outer = open.at(-1)) {
      if (outer.end > one.offset)
        one.problems.push(`it overlaps ${outer.name} (${hex(outer.offset)} to ${hex(outer.end)})`);
      open.pop();
    }
    // The places before end where this one begins, or hold it.
    while ((open.at(-1)?.end ?? Infinity) <= one.offset) open.pop();
    (open.at(-1)?.inner ?? outermost).push(one);
    open.push(one);
  }
  return outermost;
}

function placePart(
  image: Uint8Array,
  { name, kind, offset, end, facts, problems, inner }: Place,
  base: number,
  opening: Opening,
): Part {
  const content = image.subarray(offset, end);
  return new Part({
    name,
    kind,
    offset: offset - base,
    content,
    facts,
    problems,
    open: () =>
      inner.length > 0
        ? {
            parts: tile(
              content,
              inner.map((one) => placePart(image, one, offset, opening)),
            ),
          }
        : openArea(content, name, opening),
  });
}

/** An area that nothing divides any further. */
function openArea(content: Uint8Array, name: string, opening: Opening): Opened {
  if (isBlank(content)) return { parts: tile(content, []) };
  if (isCbfsArea(content, name)) return openCbfs(content, opening);
  return findFirmwareVolumes(content).length > 0 ? openVolumes(content, opening) : {};
}

function messageOf(error: unknown): string {
  if (error instanceof FormatError) return error.message;
  throw error;
}
