import { type Transform, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
// The package is CommonJS whose names Node cannot see beforehand: only the default import works.
import xz from 'xz-decompress';

/** How a member of a .deb or a package index is compressed. */
export type Compression = 'none' | 'gz' | 'xz' | 'zst';

/** The compression that the end of a file name tells, or undefined for one that is not supported. */
export function compressionOf(name: string): Compression | undefined {
  const suffix = /\.(gz|xz|zst|bz2|lzma)$/.exec(name)?.[1];
  if (suffix === undefined) return 'none';
  return suffix === 'gz' || suffix === 'xz' || suffix === 'zst' ? suffix : undefined;
}

/**
 * Decompresses bytes in memory, piece by piece.
 *
 * @throws Error for damaged and for truncated data, whatever the compression.
 */
export async function* decompress(data: Uint8Array, compression: Compression): AsyncGenerator<Uint8Array> {
  switch (compression) {
    case 'none':
      yield data;
      return;
    case 'gz':
      yield* through(data, createGunzip({ chunkSize: CHUNK }));
      return;
    case 'zst':
      yield* through(data, createZstdDecompress({ chunkSize: CHUNK }));
      return;
    case 'xz':
      yield* decompressXz(data);
  }
}

/** All of `decompress` in one buffer. */
export async function decompressAll(data: Uint8Array, compression: Compression): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of decompress(data, compression)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const CHUNK = 256 * 1024;

async function* through(data: Uint8Array, decoder: Transform): AsyncGenerator<Uint8Array> {
  if (data.length === 0) throw new Error('compressed data is empty');
  // A decoder only ends well at the end of a frame, so truncation surfaces as an error of the stream.
  yield* Readable.from([data]).pipe(decoder) as AsyncIterable<Uint8Array>;
}

async function* decompressXz(data: Uint8Array): AsyncGenerator<Uint8Array> {
  if (data.length === 0) throw new Error('compressed data is empty');
  let given = false;
  const input = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (given) return controller.close();
      given = true;
      controller.enqueue(data);
    },
  });
  yield* new xz.XzReadableStream(input) as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>;
}
