import { FormatError, hex, slice, sum8 } from './binary.ts';

/**
 * The Firmware Interface Table, by which a processor finds microcode before its first instruction. Firmware Interface Table
 * BIOS Specification (Intel, doc. 599500, revision 1.2), chapters 2 (pointer) and 4 (table, entries, types).
 */
export interface Fit {
  /** Bytes from the beginning of the image. */
  readonly offset: number;
  /** Without the header. */
  readonly entries: readonly PlacedEntry[];
}

/** A component that the table points to. */
export interface FitEntry {
  readonly type: number;
  /** What the type means; `type 0x33` if it is unknown. */
  readonly name: string;
  /** Physical address; meaningless for some types. */
  readonly address: bigint;
  /** Bytes; 0 for microcode, whose own header says it. */
  readonly size: number;
  /** Major in the upper byte, minor in the lower, BCD. */
  readonly version: number;
}

interface PlacedEntry extends FitEntry {
  /** Bytes from the beginning of the image, if the address is in it. */
  readonly offset: number | undefined;
}

const FOUR_GIB = 2n ** 32n;
/** Below 4 GiB, where the flash ends: the place of the pointer to the table. */
const POINTER = 0x40;
const ENTRY = 16;
const HEADER_TYPE = 0;
const HEADER_ADDRESS = '_FIT_   ';
/** The table must have room before the pointer, in the 16 MiB that are mapped. */
const MAX_ENTRIES = 4096;

const TYPES: Readonly<Record<number, string>> = {
  0x00: 'header',
  0x01: 'microcode',
  0x02: 'startup ACM',
  0x03: 'diagnostic ACM',
  0x04: 'platform boot policy',
  0x07: 'BIOS startup module',
  0x08: 'TPM policy',
  0x09: 'BIOS policy',
  0x0a: 'TXT policy',
  0x0b: 'key manifest',
  0x0c: 'boot policy manifest',
  0x10: 'CSE secure boot',
  0x2d: 'TXT feature delivery',
  0x2f: 'JMP debug policy',
  0x7f: 'unused',
};

/** The type of an entry that points to a microcode update. */
export const FIT_MICROCODE = 0x01;

/**
 * The table of an image whose end is mapped to 4 GiB; undefined if its pointer is empty (all zeros or all ones).
 *
 * @throws FormatError if the pointer leads to something else, or if the table's checksum is wrong.
 */
export function readFit(image: Uint8Array): Fit | undefined {
  const pointer = slice(image, image.length - POINTER, 8, 'the pointer to the FIT').readBigUInt64LE();
  if (pointer === 0n || pointer === 2n ** 64n - 1n || pointer === FOUR_GIB - 1n) return undefined;
  const offset = offsetOf(image, pointer);
  if (offset === undefined)
    throw new FormatError(`the pointer to the FIT, 0x${pointer.toString(16)}, leaves the image`);
  return {
    offset,
    entries: readFitTable(image, offset).map((entry) => ({ ...entry, offset: offsetOf(image, entry.address) })),
  };
}

/**
 * The entries of the table that begins at `offset`, without the header.
 *
 * @throws FormatError if there is none, or if its checksum is wrong.
 */
export function readFitTable(bytes: Uint8Array, offset: number): readonly FitEntry[] {
  const header = slice(bytes, offset, ENTRY, 'the header of the FIT');
  if (header.toString('latin1', 0, 8) !== HEADER_ADDRESS || (header.readUInt8(14) & 0x7f) !== HEADER_TYPE) {
    throw new FormatError(`there is no FIT at ${hex(offset)}`);
  }
  const count = header.readUIntLE(8, 3);
  if (count === 0 || count > MAX_ENTRIES) throw new FormatError(`the FIT has an impossible size: ${count} entries`);
  const table = slice(bytes, offset, count * ENTRY, 'the FIT');
  if ((header.readUInt8(14) & 0x80) !== 0 && sum8(table) !== 0) {
    throw new FormatError(`the FIT at ${hex(offset)} is damaged: its checksum is wrong`);
  }
  return Array.from({ length: count - 1 }, (_, index) =>
    readEntry(table.subarray((index + 1) * ENTRY, (index + 2) * ENTRY)),
  );
}

function readEntry(entry: Buffer): FitEntry {
  const type = entry.readUInt8(14) & 0x7f;
  return {
    type,
    name: TYPES[type] ?? `type ${hex(type)}`,
    address: entry.readBigUInt64LE(0),
    size: entry.readUIntLE(8, 3) * ENTRY,
    version: entry.readUInt16LE(12),
  };
}

function offsetOf(image: Uint8Array, address: bigint): number | undefined {
  const offset = BigInt(image.length) - (FOUR_GIB - address);
  return offset >= 0n && offset < BigInt(image.length) ? Number(offset) : undefined;
}
