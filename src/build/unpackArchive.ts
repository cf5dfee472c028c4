import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { unpackTree } from '../io/unpackTree.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { OpenObject } from '../substituters/objectStore.ts';

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
  let done = 0;
  try {
    await pipeline(
      bounded(object.body, limit),
      createZstdDecompress(),
      async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) {
          unpacker.write(chunk);
          done += chunk.length;
          onProgress?.(done);
        }
      },
      { signal },
    );
    return unpacker.end();
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
