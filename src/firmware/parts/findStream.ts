import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { FormatError, slice } from '../../formats/binary.ts';
import { unpackLz4 } from '../../formats/lz4.ts';
import { unpackXz } from '../../formats/xz.ts';
import type { Opening } from './opening.ts';

/** Compressed data somewhere in something else. */
export interface Stream {
  readonly offset: number;
  readonly size: number;
  readonly compression: string;
  readonly unpacked: Uint8Array;
}

/** Unpacks what begins at the beginning, and tells how many bytes that took. */
type Unpacker = (bytes: Uint8Array, limit: number) => { readonly content: Uint8Array; readonly size: number };

const FORMATS: readonly { readonly name: string; readonly magic: Buffer; readonly unpack: Unpacker }[] = [
  { name: 'xz', magic: Buffer.from('fd377a585a00', 'hex'), unpack: unpackXz },
  { name: 'gzip', magic: Buffer.from('1f8b08', 'hex'), unpack: gunzip },
  { name: 'zstd', magic: Buffer.from('28b52ffd', 'hex'), unpack: unzstd },
  {
    name: 'LZ4',
    magic: Buffer.from('04224d18', 'hex'),
    unpack: (bytes, limit) => ({ content: unpackLz4(bytes, limit), size: bytes.length }),
  },
];

/** Unpacks compressed data that `bytes` begins with; undefined if it does not begin with such. */
export function openStream(bytes: Uint8Array, opening: Opening): Stream | undefined {
  const format = FORMATS.find(({ magic }) => magic.equals(bytes.subarray(0, magic.length)));
  return format && streamAt(bytes, 0, format, opening);
}

/** The first compressed data in `bytes` that unpack to what is wanted. */
export function findStream(
  bytes: Uint8Array,
  opening: Opening,
  isWanted: (unpacked: Uint8Array) => boolean,
): Stream | undefined {
  const buffer = slice(bytes, 0, bytes.length, 'the content');
  for (const format of FORMATS) {
    for (let at = buffer.indexOf(format.magic); at !== -1; at = buffer.indexOf(format.magic, at + 1)) {
      try {
        const stream = streamAt(bytes, at, format, opening);
        if (isWanted(stream.unpacked)) return stream;
      } catch (error) {
        if (!(error instanceof FormatError)) throw error; // a few bytes that mean something else here
      }
    }
  }
  return undefined;
}

function streamAt(
  bytes: Uint8Array,
  offset: number,
  { name, unpack }: (typeof FORMATS)[number],
  opening: Opening,
): Stream {
  let size = 0;
  const unpacked = opening.unpack((limit) => {
    const result = unpack(bytes.subarray(offset), limit);
    size = result.size;
    return result.content;
  });
  return { offset, size, compression: name, unpacked };
}

function gunzip(bytes: Uint8Array, limit: number): ReturnType<Unpacker> {
  return unzip('gzip', () => gunzipSync(bytes, withInfo(limit)));
}

function unzstd(bytes: Uint8Array, limit: number): ReturnType<Unpacker> {
  return unzip('zstd', () => zstdDecompressSync(bytes, withInfo(limit)));
}

function withInfo(limit: number): { readonly maxOutputLength: number; readonly info: true } {
  return { maxOutputLength: limit, info: true };
}

/** What Node's own decoders throw is about the data; `bytesWritten` are those that were taken in. */
function unzip(name: string, unpack: () => unknown): ReturnType<Unpacker> {
  try {
    const { buffer, engine } = unpack() as { buffer: Uint8Array; engine: { bytesWritten: number } };
    return { content: buffer, size: engine.bytesWritten };
  } catch (error) {
    throw new FormatError(`damaged ${name} data: ${error instanceof Error ? error.message : String(error)}`);
  }
}
