import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
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

/** Packs a folder as canonical tar in zstd into the file `place`, which does not exist yet. */
export async function archiveFolder(folder: string, place: string, signal: AbortSignal): Promise<Archive> {
  const tar = sha256Stream();
  const compressed = sha256Stream();
  let size = 0;
  const pieces = function* (): Generator<Uint8Array> {
    for (const piece of batches(packTree(folder, listTree(folder)))) {
      tar.update(piece);
      yield piece;
    }
  };
  await pipeline(
    Readable.from(pieces(), { objectMode: false, highWaterMark: CHUNK }),
    createZstdCompress({ chunkSize: CHUNK, params: PARAMETERS }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        compressed.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    },
    createWriteStream(place, { flags: 'wx', highWaterMark: CHUNK }),
    { signal },
  );
  return {
    digest: tar.digest(),
    size,
    sha256: compressed.digest(),
    open: () => createReadStream(place, { highWaterMark: CHUNK }) as AsyncIterable<Uint8Array>,
    path: place,
  };
}

/** Pieces of a tar, many of which are the 512 bytes of a header, put together to larger ones that may be kept. */
function* batches(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let batch = Buffer.allocUnsafe(CHUNK);
  let used = 0;
  for (const piece of pieces) {
    if (used + piece.length > CHUNK) {
      yield batch.subarray(0, used);
      batch = Buffer.allocUnsafe(Math.max(CHUNK, piece.length));
      used = 0;
    }
    batch.set(piece, used);
    used += piece.length;
  }
  if (used > 0) yield batch.subarray(0, used);
}
