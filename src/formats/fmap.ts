import { FormatError, hex, slice } from './binary.ts';

/**
 * The flash map, which names the areas of a flash image: coreboot, Documentation/lib/flashmap.md, and the structures in
 * commonlib/bsd/fmap_serialized.h. Everything is little-endian.
 */
export interface FlashMap {
  /** Where it lies, bytes from the beginning of the image, and how long it is. */
  readonly offset: number;
  readonly length: number;
  /** `1.1`. */
  readonly version: string;
  /** Of the flash. */
  readonly name: string;
  /** Bytes of the flash. */
  readonly size: number;
  readonly areas: readonly FlashArea[];
}

/** A named area. Areas lie inside of one another. */
interface FlashArea {
  readonly name: string;
  /** Bytes from the beginning of the image. */
  readonly offset: number;
  readonly size: number;
  /** `static`, `compressed`, `read-only`, `preserve`. */
  readonly flags: readonly string[];
}

const SIGNATURE = '__FMAP__';
const HEADER = 56;
const AREA = 42;
const NAME = 32;
const FLAGS = ['static', 'compressed', 'read-only', 'preserve'];

/**
 * The first sound flash map in an image, wherever it lies; undefined if there is none. The signature alone is not enough:
 * programs that look for a map hold it, too.
 */
export function findFlashMap(image: Uint8Array): FlashMap | undefined {
  const buffer = slice(image, 0, image.length, 'the image');
  for (let at = buffer.indexOf(SIGNATURE, 0, 'latin1'); at !== -1; at = buffer.indexOf(SIGNATURE, at + 1, 'latin1')) {
    try {
      return readFlashMap(image, at);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  return undefined;
}

/**
 * Reads the flash map that begins at `offset`. Areas that leave the flash are left for the caller to judge.
 *
 * @throws FormatError if there is none, or if it is cut off.
 */
function readFlashMap(image: Uint8Array, offset: number): FlashMap {
  const header = slice(image, offset, HEADER, 'the flash map');
  if (header.toString('latin1', 0, SIGNATURE.length) !== SIGNATURE || header.readUInt8(8) !== 1) {
    throw new FormatError(`there is no flash map at ${hex(offset)}`);
  }
  const count = header.readUInt16LE(54);
  const areas = slice(image, offset + HEADER, count * AREA, 'the flash map');
  return {
    offset,
    length: HEADER + areas.length,
    version: `${header.readUInt8(8)}.${header.readUInt8(9)}`,
    name: readName(header, 22, 'the flash map'),
    size: header.readUInt32LE(18),
    areas: Array.from({ length: count }, (_, index) => readArea(areas.subarray(index * AREA, (index + 1) * AREA))),
  };
}

function readArea(area: Buffer): FlashArea {
  const flags = area.readUInt16LE(40);
  return {
    name: readName(area, 8, 'an area of the flash map'),
    offset: area.readUInt32LE(0),
    size: area.readUInt32LE(4),
    flags: FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0),
  };
}

function readName(bytes: Buffer, at: number, what: string): string {
  const name = /^[\x20-\x7e]+(?=\0)/.exec(bytes.toString('latin1', at, at + NAME))?.[0];
  if (name === undefined) throw new FormatError(`${what} has no name`);
  return name;
}
