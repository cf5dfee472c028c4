import { FormatError, slice } from './binary.ts';
import { Unpacked } from './unpacked.ts';

/**
 * Decoder for LZ4 frames: "LZ4 Frame Format Description" 1.6.4 and "LZ4 Block Format Description". Its xxHash
 * checksums are not compared.
 */
const MAGIC = 0x184d2204;
const VERSION = 1;
const UNCOMPRESSED = 0x80000000;
const MIN_MATCH = 4;

/** True if the bytes begin like an LZ4 frame. */
function isLz4(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && slice(bytes, 0, 4, 'the magic').readUInt32LE() === MAGIC;
}

/**
 * Unpacks the frame at the beginning of `bytes`; more may follow it.
 *
 * @param limit The most bytes that it may unpack to.
 * @throws FormatError if it is damaged, cut off, larger, or needs a dictionary.
 */
export function unpackLz4(bytes: Uint8Array, limit: number): Uint8Array {
  if (!isLz4(bytes)) throw new FormatError('this is no LZ4 frame');
  const flags = slice(bytes, 4, 2, 'the header of the LZ4 frame').readUInt8();
  if (flags >> 6 !== VERSION || (flags & 3) !== 0)
    throw new FormatError('an LZ4 frame of a kind that is not supported');
  const blockSum = (flags & 0x10) === 0 ? 0 : 4;
  const output = new Unpacked(limit);
  for (let at = 6 + ((flags & 0x08) === 0 ? 0 : 8) + 1; ;) {
    const word = slice(bytes, at, 4, 'a block of the LZ4 frame').readUInt32LE();
    if (word === 0) return output.content();
    const size = word % UNCOMPRESSED;
    const block = slice(bytes, at + 4, size, 'a block of the LZ4 frame');
    if (word >= UNCOMPRESSED) output.append(block);
    else unpackBlock(block, output);
    at += 4 + size + blockSum;
  }
}

/** A block is sequences of literals and a match; the last has literals only. */
function unpackBlock(block: Buffer, output: Unpacked): void {
  let at = 0;
  const byte = (): number => slice(block, at++, 1, 'an LZ4 sequence').readUInt8();
  const longer = (start: number): number => {
    let length = start;
    if (length === 15) for (let more = 255; more === 255; length += more) more = byte();
    return length;
  };
  while (at < block.length) {
    const token = byte();
    const literals = longer(token >> 4);
    output.append(slice(block, at, literals, 'the literals of an LZ4 sequence'));
    at += literals;
    if (at === block.length) return;
    const distance = slice(block, at, 2, 'an LZ4 sequence').readUInt16LE();
    at += 2;
    const count = longer(token & 0xf) + MIN_MATCH;
    let from = output.length - distance;
    if (distance === 0 || from < 0) throw new FormatError('damaged LZ4 data: a distance is too large');
    output.reserve(count);
    for (let left = count; left > 0; left--) output.bytes[output.length++] = output.bytes[from++] as number;
  }
}
