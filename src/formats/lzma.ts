import { FormatError, slice } from './binary.ts';
import { LzmaDecoder } from './lzmaDecoder.ts';
import { Unpacked } from './unpacked.ts';

/** Bytes of the header of an .lzma file: properties, dictionary size, unpacked size. */
const HEADER = 13;
const UNKNOWN_SIZE = 2n ** 64n - 1n;

/**
 * Unpacks an .lzma file, the form that coreboot and EDK II use too.
 *
 * @param limit The most bytes that it may unpack to.
 * @throws FormatError if it is damaged or cut off, or larger than the limit.
 */
export function unpackLzma(bytes: Uint8Array, limit: number): Uint8Array {
  const header = slice(bytes, 0, HEADER, 'the header of the LZMA data');
  const size = header.readBigUInt64LE(5);
  const known = size === UNKNOWN_SIZE ? undefined : Number(size);
  if (known !== undefined && known > limit) throw new FormatError(`unpacked there would be ${known} bytes`);
  const output = new Unpacked(limit, known);
  const decoder = new LzmaDecoder(output);
  decoder.setProperties(header.readUInt8(0));
  decoder.start(bytes, HEADER, bytes.length);
  const ended = decoder.decode(known ?? limit);
  if (known === undefined ? !ended : output.length !== known) {
    throw new FormatError('the LZMA data end before everything is unpacked');
  }
  return output.content();
}
