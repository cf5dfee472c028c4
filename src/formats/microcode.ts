import { FormatError, hex, slice } from './binary.ts';

/**
 * Microcode updates for Intel processors, as files hold them: one or more after another. Intel 64 and IA-32 Architectures
 * Software Developer's Manual, volume 3A, section "Microcode Update" (tables of the update format and of the extended
 * processor signature table).
 */
export interface MicrocodeUpdate {
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly size: number;
  readonly revision: number;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  /** The processors that it is for. */
  readonly processors: readonly Processor[];
}

/** A kind of processor. */
interface Processor {
  /** What CPUID leaf 1 gives in EAX. */
  readonly signature: number;
  /** Family, model and stepping, as Linux names the files: `06-9e-0a`. */
  readonly name: string;
  /** Bit n: for platform id n (IA32_PLATFORM_ID bits 52:50). */
  readonly platforms: number;
}

const HEADER = 48;
const EXTENDED_HEADER = 20;
const EXTENDED_ENTRY = 12;
/** What a size of 0 stands for. */
const DEFAULT_DATA = 2000;

/**
 * The updates of a file.
 *
 * @throws FormatError if it holds anything else, or if a checksum is wrong.
 */
export function readMicrocode(file: Uint8Array): readonly MicrocodeUpdate[] {
  if (file.length === 0) throw new FormatError('there is no microcode update in an empty file');
  const updates: MicrocodeUpdate[] = [];
  for (let offset = 0; offset < file.length;) {
    const update = readUpdate(file, offset);
    updates.push(update);
    offset += update.size;
  }
  return updates;
}

function readUpdate(file: Uint8Array, offset: number): MicrocodeUpdate {
  const what = `the microcode update at ${hex(offset)}`;
  const header = slice(file, offset, HEADER, what);
  if (header.readUInt32LE(0) !== 1 || header.readUInt32LE(20) !== 1) {
    throw new FormatError(`there is no microcode update at ${hex(offset)}: its header or loader version is not 1`);
  }
  const dataSize = header.readUInt32LE(28) || DEFAULT_DATA;
  const size = header.readUInt32LE(28) === 0 ? HEADER + DEFAULT_DATA : header.readUInt32LE(32);
  if (dataSize % 4 !== 0 || size % 4 !== 0 || size < HEADER + dataSize) {
    throw new FormatError(`${what} has impossible sizes: ${size} bytes, ${dataSize} of them data`);
  }
  const update = slice(file, offset, size, what);
  if (sum32(update) !== 0) throw new FormatError(`${what} is damaged: its checksum is wrong`);
  return {
    offset,
    size,
    revision: update.readUInt32LE(4),
    date: readDate(update.readUInt32LE(8), what),
    processors: [
      processor(update.readUInt32LE(12), update.readUInt32LE(24)),
      ...extendedProcessors(update, HEADER + dataSize, what),
    ],
  };
}

/** The table behind the data, if there is one. The checksum over everything has been found right. */
function extendedProcessors(update: Buffer, start: number, what: string): readonly Processor[] {
  if (update.length === start) return [];
  const table = slice(update, start, update.length - start, what);
  const count = slice(table, 0, EXTENDED_HEADER, `the processor table of ${what}`).readUInt32LE(0);
  const used = slice(table, 0, EXTENDED_HEADER + count * EXTENDED_ENTRY, `the processor table of ${what}`);
  if (sum32(used) !== 0) throw new FormatError(`the processor table of ${what} is damaged: its checksum is wrong`);
  return Array.from({ length: count }, (_, index) => {
    const at = EXTENDED_HEADER + index * EXTENDED_ENTRY;
    return processor(used.readUInt32LE(at), used.readUInt32LE(at + 4));
  });
}

function processor(signature: number, platforms: number): Processor {
  const family = (signature >>> 8) & 0xf;
  const parts = [
    family === 0xf ? family + ((signature >>> 20) & 0xff) : family,
    ((signature >>> 4) & 0xf) | ((signature >>> 12) & 0xf0),
    signature & 0xf,
  ];
  return { signature, name: parts.map((part) => part.toString(16).padStart(2, '0')).join('-'), platforms };
}

/** BCD, mmddyyyy. */
function readDate(bcd: number, what: string): string {
  const digits = bcd.toString(16).padStart(8, '0');
  if (!/^\d{8}$/.test(digits)) throw new FormatError(`${what} has no date: ${digits}`);
  return `${digits.slice(4)}-${digits.slice(0, 2)}-${digits.slice(2, 4)}`;
}

/** The sum of all little-endian 32-bit words, modulo 2^32. */
function sum32(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 4) sum = (sum + bytes.readUInt32LE(at)) >>> 0;
  return sum;
}
