import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { TarReader } from '../formats/tarReader.ts';
import { unpackTree } from '../io/unpackTree.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { OpenObject } from '../substituters/objectStore.ts';

/** Bytes that are decompressed at once. */
const CHUNK = 1024 * 1024;

/** How an archive is to be unpacked. */
interface UnpackOptions {
  /** The most bytes that its canonical tar may have. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Bytes of the canonical tar so far. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * Unpacks a canonical tar in zstd into `folder`, which does not exist yet, as it comes. Returns the digest of the tar; it is
 * for the caller to compare. What is left in `folder` if it fails, too.
 *
 * @throws VmbuildError CACHE_UNUSABLE for what is no such archive, or longer; system errors of the disk; HttpError.
 */
export async function unpackArchive(
  object: OpenObject,
  folder: string,
  { limit, signal, onProgress }: UnpackOptions,
): Promise<Digest> {
  using unpacker = unpackTree(folder, limit);
  await feed(object, limit, signal, (chunk, done) => {
    unpacker.write(chunk);
    onProgress?.(done);
  });
  try {
    return unpacker.end();
  } catch (error) {
    throw explainContent(error);
  }
}

/** What an archive holds, as far as it is known without unpacking it. */
interface ArchiveFacts {
  /** Of its canonical tar, and the bytes of that. */
  readonly digest: Digest;
  readonly size: number;
}

/**
 * Reads a canonical tar in zstd to its end and writes nothing: for whoever only wants to know whether it is what its name says,
 * or wants to know that first.
 *
 * @param entries the most that it may hold.
 * @throws the same as `unpackArchive`.
 */
export async function checkArchive(
  object: OpenObject,
  { limit, signal, entries = Number.POSITIVE_INFINITY }: UnpackOptions & { readonly entries?: number },
): Promise<ArchiveFacts> {
  const hash = sha256Stream();
  let [count, size] = [0, 0];
  const entry = (): void => {
    count += 1;
    if (count > entries) throw new TypeError(`the archive holds more than ${entries} entries`);
  };
  const reader = new TarReader({ entry, content: () => {} });
  await feed(object, limit, signal, (chunk, done) => {
    if (done > limit) throw new TypeError(`the archive is longer than ${limit} bytes`);
    hash.update(chunk);
    reader.write(chunk);
    size = done;
  });
  try {
    reader.end();
  } catch (error) {
    throw explainContent(error);
  }
  return { digest: hash.digest(), size };
}

/** Decompresses an archive, and hands on each piece with the bytes so far. */
async function feed(
  object: OpenObject,
  limit: number,
  signal: AbortSignal,
  write: (chunk: Uint8Array, done: number) => void,
): Promise<void> {
  let done = 0;
  try {
    await pipeline(
      bounded(object.body, limit),
      createZstdDecompress({ chunkSize: CHUNK }),
      async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) {
          done += chunk.length;
          write(chunk, done);
        }
      },
      { signal },
    );
  } catch (error) {
    throw explainContent(error);
  }
}

/** What is compressed never takes much more than what it holds; an endless stream of it may hold nothing at all. */
async function* bounded(body: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const limit = size + size / 64 + 64 * 1024;
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limit) throw wrongContent(`more than the ${size} bytes that it may hold`);
    yield chunk;
  }
}

/** What is wrong with the content is the cache's fault; what the disk refuses is not. */
function explainContent(error: unknown): unknown {
  const code = systemErrorCode(error) ?? '';
  if (error instanceof TypeError) return wrongContent(error.message);
  if (/^(Z|ZSTD)_|^ERR_(ZSTD|ZLIB|BUFFER)/.test(code))
    return wrongContent(`it is no zstd, or damaged (${errorMessage(error)})`);
  return error;
}

/** The error for something that is not what its name says. */
export function wrongContent(why: string): VmbuildError {
  return new VmbuildError('CACHE_UNUSABLE', `it is not what its name says: ${why}`);
}
