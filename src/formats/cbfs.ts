import { createHash } from 'node:crypto';
import { alignUp, FormatError, hex, slice } from './binary.ts';

/**
 * A file of CBFS, coreboot's file system in flash, or the room of one that was removed: the structures in coreboot's
 * commonlib/bsd/cbfs_serialized.h; what a reader makes of them follows commonlib/bsd/cbfs_private.c. Everything is
 * big-endian. Files follow one another at multiples of 64 bytes; what is no file is stepped over in the same measure.
 */
export interface CbfsFile {
  /** Bytes from the beginning of the file system to the file's header. */
  readonly offset: number;
  /** Bytes from there to the content. */
  readonly headerSize: number;
  readonly name: string;
  readonly type: number;
  /** As cbfstool calls it; `type 0x33` if it is unknown. */
  readonly typeName: string;
  /** The content as it lies there. */
  readonly content: Buffer;
  /** Nothing is in it: free room, or a file that was removed. */
  readonly empty: boolean;
  /** How the content is compressed as a whole; `none` too. */
  readonly compression: string;
  /** Bytes when unpacked. */
  readonly unpackedSize: number;
  readonly attributes: readonly CbfsAttribute[];
}

/** What a file's header says besides name and type. */
interface CbfsAttribute {
  /** `compression`, `hash`, `position`, `alignment`, `IBB`, `padding`, `stage`; `tag 0x33` if it is unknown. */
  readonly name: string;
  /** What follows tag and length. */
  readonly data: Buffer;
}

/** Where and how a program of the firmware is loaded. */
export interface StageAttribute {
  readonly loadAddress: bigint;
  readonly entry: bigint;
  /** Bytes that it takes in memory. */
  readonly memorySize: number;
}

/** A file's own hash. */
export interface CbfsHash {
  /** As Node knows it: `sha256`. */
  readonly algorithm: string;
  /** Hexadecimal. */
  readonly digest: string;
  readonly valid: boolean;
}

const MAGIC = 'LARCHIVE';
const HEADER = 24;
const ALIGNMENT = 64;
const DELETED = 0;
const NULL = 0xffffffff;

/** As cbfstool prints them. */
const TYPES: Readonly<Record<number, string>> = {
  [DELETED]: 'deleted',
  0x01: 'bootblock',
  0x02: 'cbfs header',
  0x10: 'legacy stage',
  0x11: 'stage',
  0x20: 'simple elf',
  0x21: 'fit_payload',
  0x30: 'optionrom',
  0x40: 'bootsplash',
  0x50: 'raw',
  0x51: 'vsa',
  0x52: 'mbi',
  0x53: 'microcode',
  0x54: 'intel_fit',
  0x60: 'fsp',
  0x61: 'mrc',
  0x62: 'mma',
  0x63: 'efi',
  0x70: 'struct',
  0x80: 'amdfw',
  0xaa: 'cmos_default',
  0xab: 'spd',
  0xac: 'mrc_cache',
  0x1aa: 'cmos_layout',
  [NULL]: 'null',
};

/** Both are padding: headers are filled with either. */
const NO_TAGS = [0, 0xffffffff];
const TAGS: Readonly<Record<number, string>> = {
  0x42435a4c: 'compression',
  0x68736148: 'hash',
  0x42435350: 'position',
  0x42434c41: 'alignment',
  0x32494242: 'IBB',
  0x47444150: 'padding',
  0x53746748: 'stage',
};

const COMPRESSIONS: Readonly<Record<number, string>> = { 0: 'none', 1: 'LZMA', 2: 'LZ4' };

/** By vboot's number (vb2_hash_algorithm). */
const HASHES: Readonly<Record<number, string>> = { 1: 'sha1', 2: 'sha256', 3: 'sha512', 4: 'sha224', 5: 'sha384' };

/** `none`, `LZMA` or `LZ4`; `0x33` if it is unknown. */
export function compressionName(number: number): string {
  return COMPRESSIONS[number] ?? hex(number);
}

/** The files of a file system. What is damaged is stepped over, and left for the caller to find between the files. */
export function readCbfs(area: Uint8Array): readonly CbfsFile[] {
  const bytes = slice(area, 0, area.length, 'the file system');
  const files: CbfsFile[] = [];
  for (let at = 0; ;) {
    const found = bytes.indexOf(MAGIC, at, 'latin1');
    if (found === -1) return files;
    at = alignUp(found, ALIGNMENT);
    if (at !== found) continue;
    try {
      const file = readFile(bytes, at);
      files.push(file);
      at = alignUp(at + file.headerSize + file.content.length, ALIGNMENT);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      at += ALIGNMENT;
    }
  }
}

function readFile(area: Buffer, offset: number): CbfsFile {
  const what = `the CBFS file at ${hex(offset)}`;
  const fixed = slice(area, offset, HEADER, what);
  const size = fixed.readUInt32BE(8);
  const type = fixed.readUInt32BE(12);
  const attributesAt = fixed.readUInt32BE(16);
  const headerSize = fixed.readUInt32BE(20);
  if (headerSize <= HEADER) throw new FormatError(`${what} begins inside its header`);
  const header = slice(area, offset, headerSize, what);
  const content = slice(area, offset + headerSize, size, what);
  const nameEnd = attributesAt === 0 ? headerSize : attributesAt;
  if (nameEnd < HEADER || nameEnd > headerSize) throw new FormatError(`${what} has attributes outside of its header`);
  const attributes = attributesAt === 0 ? [] : readAttributes(header, attributesAt, what);
  const compression = attributes.find(({ name, data }) => name === 'compression' && data.length === 8)?.data;
  return {
    offset,
    headerSize,
    name: readName(header.subarray(HEADER, nameEnd), what),
    type,
    typeName: TYPES[type] ?? `type ${hex(type)}`,
    content,
    empty: type === DELETED || type === NULL,
    compression: compressionName(compression?.readUInt32BE(0) ?? 0),
    unpackedSize: compression?.readUInt32BE(4) ?? size,
    attributes,
  };
}

function readName(bytes: Buffer, what: string): string {
  const name = /^([\x20-\x7e]*)\0/.exec(bytes.toString('latin1'))?.[1];
  if (name === undefined) throw new FormatError(`${what} has no sound name`);
  return name;
}

function readAttributes(header: Buffer, start: number, what: string): readonly CbfsAttribute[] {
  const attributes: CbfsAttribute[] = [];
  for (let at = start; header.length - at >= 8;) {
    const tag = header.readUInt32BE(at);
    if (NO_TAGS.includes(tag)) break;
    const length = header.readUInt32BE(at + 4);
    if (length < 8) throw new FormatError(`${what} has an attribute of an impossible size: ${length} bytes`);
    attributes.push({
      name: TAGS[tag] ?? `tag ${hex(tag)}`,
      data: slice(header, at + 8, length - 8, `an attribute of ${what}`),
    });
    at += length;
  }
  return attributes;
}

/** Where a stage is loaded; undefined for a file that does not say it. */
export function stageOf(file: CbfsFile): StageAttribute | undefined {
  const data = file.attributes.find(({ name }) => name === 'stage')?.data;
  if (data === undefined || data.length < 16) return undefined;
  const loadAddress = data.readBigUInt64BE(0);
  return { loadAddress, entry: loadAddress + BigInt(data.readUInt32BE(8)), memorySize: data.readUInt32BE(12) };
}

/** The hashes of its content that a file states; those of an unknown algorithm are left out. */
export function hashesOf(file: CbfsFile): readonly CbfsHash[] {
  return file.attributes.flatMap(({ name, data }) => {
    const algorithm = name === 'hash' && data.length > 4 ? HASHES[data.readUInt32BE(0)] : undefined;
    if (algorithm === undefined) return [];
    const actual = createHash(algorithm).update(file.content).digest('hex');
    const digest = data.toString('hex', 4, 4 + actual.length / 2);
    return [{ algorithm, digest, valid: digest === actual }];
  });
}
