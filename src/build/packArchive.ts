import { createReadStream, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';
import { listTree, packTree } from '../io/tree.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ObjectBody } from '../substituters/objectStore.ts';

const CHUNK = 1024 * 1024;

/** Nearly as small as the default level, and twice as fast (docs/performance.md). */
const LEVEL = 1;

/** With a checksum, so that `zstd --test` finds damage, too, where nobody knows a digest yet. */
const PARAMETERS = { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 };

/** A file with a canonical tar in zstd. */
export interface Archive extends ObjectBody {
  /** Of the tar. */
  readonly digest: Digest;
}

/**
 * Packs a tree of the store as canonical tar in zstd into the file `place`; what is packed is compared with the digest that
 * it is stored under, so that damage never leaves this machine.
 *
 * @throws VmbuildError STORE_DAMAGED
 */
export async function packArchive(
  folder: string,
  digest: Digest,
  place: string,
  signal: AbortSignal,
): Promise<ObjectBody> {
  const archive = await archiveFolder(folder, place, signal);
  if (archive.digest === digest) return archive;
  throw new VmbuildError('STORE_DAMAGED', `the artifact ${folder} is damaged: its digest is ${archive.digest}`, {
    hints: ['vmbuild store check finds out what else is.'],
  });
}

/**
 * Packs a folder as canonical tar in zstd into the file `place`, which does not exist yet. While one part is compressed by
 * a thread, the next is read and hashed; two buffers are enough for that, and new ones would cost as much as what goes through
 * them.
 */
export async function archiveFolder(folder: string, place: string, signal: AbortSignal): Promise<Archive> {
  const tar = sha256Stream();
  const compressed = sha256Stream();
  let size = 0;
  await using file = await open(place, 'wx');
  const zstd = addAbortSignal(signal, createZstdCompress({ chunkSize: CHUNK, params: PARAMETERS }));
  const feed = async (): Promise<void> => {
    let taken = Promise.resolve();
    for (const part of partsOf(packTree(folder, listTree(folder)))) {
      tar.update(part);
      await taken;
      taken = compress(zstd, part);
    }
    await taken;
    zstd.end();
  };
  const drain = async (): Promise<void> => {
    for await (const chunk of zstd as AsyncIterable<Buffer>) {
      compressed.update(chunk);
      size += chunk.length;
      for (let offset = 0; offset < chunk.length;) offset += writeSync(file.fd, chunk, offset);
    }
  };
  // Whichever fails takes the other with it.
  await Promise.all([feed().catch((error: unknown) => void zstd.destroy(error as Error)), drain()]);
  return {
    digest: tar.digest(),
    size,
    sha256: compressed.digest(),
    open: () => createReadStream(place, { highWaterMark: CHUNK }) as AsyncIterable<Uint8Array>,
    path: place,
    disposable: true,
  };
}

/** Resolves when a part is compressed, and its memory may be used again. */
function compress(zstd: ZstdCompress, part: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  zstd.write(part, (error) => (error ? reject(error) : resolve()));
  // It is awaited after the next part has been read.
  promise.catch(() => {});
  return promise;
}

/**
 * Pieces of a tar, many of which are the 512 bytes of a header, put together to parts of one size but for the last. A part is
 * valid until the next but one is asked for.
 */
function* partsOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let [part, other] = [Buffer.allocUnsafeSlow(CHUNK), Buffer.allocUnsafeSlow(CHUNK)];
  let used = 0;
  for (const piece of pieces) {
    for (let offset = 0; offset < piece.length;) {
      const taken = piece.subarray(offset, offset + CHUNK - used);
      part.set(taken, used);
      used += taken.length;
      offset += taken.length;
      if (used < CHUNK) continue;
      yield part;
      [part, other] = [other, part];
      used = 0;
    }
  }
  if (used > 0) yield part.subarray(0, used);
}
