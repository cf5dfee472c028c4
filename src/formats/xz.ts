import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { alignUp, FormatError, slice } from './binary.ts';
import { LzmaDecoder } from './lzmaDecoder.ts';
import { Unpacked } from './unpacked.ts';
import { undoX86Filter } from './x86Filter.ts';

/**
 * Decoder for .xz: "The .xz File Format", version 1.2.1. It knows what firmware uses and the WebAssembly decoder for packages
 * does not: the x86 filter, with which Linux compresses itself. Of the checks, CRC64 is not compared.
 */
const MAGIC = Buffer.from('fd377a585a00', 'hex');
const FOOTER_MAGIC = 'YZ';
const STREAM_HEADER = 12;
const LZMA2 = 0x21;
const X86 = 0x04;
/** Bytes by the check's number (section 2.1.1.2). */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
const CRC32 = 1;
const SHA256 = 10;

/** What one stream unpacks to, and how long it was. */
export interface XzStream {
  readonly content: Uint8Array;
  /** Bytes of the stream. */
  readonly size: number;
}

function isXz(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

/**
 * Unpacks the stream at the beginning of `bytes`; more may follow it.
 *
 * @param limit The most bytes that it may unpack to.
 * @throws FormatError if it is damaged, cut off or larger, or if it uses a filter other than LZMA2 and x86.
 */
export function unpackXz(bytes: Uint8Array, limit: number): XzStream {
  const header = slice(bytes, 0, STREAM_HEADER, 'the header of the xz stream');
  if (!isXz(header) || header[6] !== 0) throw new FormatError('this is no xz stream');
  checkSum(header.subarray(6, 8), header.readUInt32LE(8), 'the header of the xz stream');
  const check = header.readUInt8(7);
  if (check > 0xf) throw new FormatError('an xz stream of a version that is not supported');
  const output = new Unpacked(limit);
  let at = STREAM_HEADER;
  while (slice(bytes, at, 1, 'the xz stream')[0] !== 0) at = unpackBlock(bytes, at, check, output);
  return { content: output.content(), size: readEnd(bytes, at) };
}

/** Unpacks the block at `start` and returns where it ends (section 3). */
function unpackBlock(bytes: Uint8Array, start: number, check: number, output: Unpacked): number {
  const size = 4 * (slice(bytes, start, 1, 'an xz block').readUInt8() + 1);
  const header = slice(bytes, start, size, 'the header of an xz block');
  checkSum(header.subarray(0, -4), header.readUInt32LE(size - 4), 'the header of an xz block');
  const flags = header.readUInt8(1);
  const numbers = numberReader(header, 2);
  if ((flags & 0x40) !== 0) numbers.next();
  if ((flags & 0x80) !== 0) numbers.next();
  const filters: number[] = [];
  for (let count = (flags & 3) + 1; count > 0; count--) {
    filters.push(numbers.next());
    numbers.skip(numbers.next());
  }
  const filtered = filters[0] === X86 && filters.length === 2;
  if (filters.at(-1) !== LZMA2 || !(filtered || filters.length === 1)) {
    throw new FormatError(`an xz block with filters that are not supported: ${filters.join(', ')}`);
  }
  const from = output.length;
  const end = unpackLzma2(bytes, start + size, output);
  const content = output.bytes.subarray(from, output.length);
  if (filtered) undoX86Filter(content);
  const checkAt = alignUp(end - start, 4) + start;
  const sum = slice(bytes, checkAt, CHECK_SIZES[check] as number, 'the check of an xz block');
  if (check === CRC32) checkSum(content, sum.readUInt32LE(), 'an xz block');
  if (check === SHA256 && !createHash('sha256').update(content).digest().equals(sum)) {
    throw new FormatError('an xz block is damaged: its SHA-256 is wrong');
  }
  return checkAt + sum.length;
}

/** The chunks of LZMA2 at `start`; returns where they end. Each says what it resets. */
function unpackLzma2(bytes: Uint8Array, start: number, output: Unpacked): number {
  const decoder = new LzmaDecoder(output);
  let at = start;
  let hasDictionary = false;
  let hasProperties = false;
  for (;;) {
    const control = slice(bytes, at, 1, 'LZMA2 data').readUInt8();
    if (control === 0) return at + 1;
    const resets = control >= 0x80 ? (control >> 5) & 3 : control === 1 ? 3 : 0;
    if (resets === 3) {
      decoder.resetDictionary();
      hasDictionary = true;
    }
    if (!hasDictionary || (control >= 3 && control < 0x80)) throw new FormatError('damaged LZMA2 data');
    if (control < 0x80) {
      const size = slice(bytes, at + 1, 2, 'an LZMA2 chunk').readUInt16BE(0) + 1;
      output.append(slice(bytes, at + 3, size, 'an LZMA2 chunk'));
      at += 3 + size;
      continue;
    }
    const header = slice(bytes, at + 1, 5, 'an LZMA2 chunk');
    const unpacked = ((control & 0x1f) << 16) + header.readUInt16BE(0) + 1;
    const packed = header.readUInt16BE(2) + 1;
    if (resets >= 2) {
      decoder.setProperties(header.readUInt8(4));
      hasProperties = true;
    } else if (resets === 1) {
      decoder.resetState();
    }
    if (!hasProperties) throw new FormatError('damaged LZMA2 data: a chunk before its properties');
    const data = at + (resets >= 2 ? 6 : 5);
    slice(bytes, data, packed, 'an LZMA2 chunk');
    decoder.start(bytes, data, data + packed);
    output.reserve(unpacked);
    if (decoder.decode(output.length + unpacked) || !decoder.isAtEnd()) throw new FormatError('damaged LZMA2 data');
    at = data + packed;
  }
}

/** The index at `start` and the footer (sections 4 and 2.1.2); returns where the stream ends. */
function readEnd(bytes: Uint8Array, start: number): number {
  const numbers = numberReader(slice(bytes, start, bytes.length - start, 'the index of the xz stream'), 1);
  for (let left = 2 * numbers.next(); left > 0; left--) numbers.next();
  const end = start + alignUp(numbers.position(), 4) + 4;
  const index = slice(bytes, start, end - start, 'the index of the xz stream');
  checkSum(index.subarray(0, -4), index.readUInt32LE(index.length - 4), 'the index of the xz stream');
  const footer = slice(bytes, end, STREAM_HEADER, 'the footer of the xz stream');
  checkSum(footer.subarray(4, 10), footer.readUInt32LE(0), 'the footer of the xz stream');
  if (footer.toString('latin1', 10) !== FOOTER_MAGIC) throw new FormatError('the xz stream has no footer');
  return end + STREAM_HEADER;
}

/** Numbers of variable length (section 1.2), as far as JavaScript's numbers are exact. */
function numberReader(bytes: Buffer, start: number) {
  let at = start;
  return {
    next(): number {
      let value = 0;
      for (let shift = 0; shift <= 42; shift += 7) {
        const byte = slice(bytes, at++, 1, 'a number of the xz stream').readUInt8();
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
      throw new FormatError('an xz stream with an impossible number');
    },
    skip(count: number): void {
      at += slice(bytes, at, count, 'the properties of an xz filter').length;
    },
    position: () => at,
  };
}

function checkSum(bytes: Uint8Array, expected: number, what: string): void {
  if (crc32(bytes) !== expected) throw new FormatError(`${what} is damaged: its CRC32 is wrong`);
}
