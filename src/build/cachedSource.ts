import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Candidate } from '../fetchers/fetcher.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Source } from '../model/source.ts';
import { artifactPath, sourcePath } from '../substituters/layout.ts';
import type { OpenObject } from '../substituters/objectStore.ts';
import type { Substituter } from '../substituters/substituter.ts';
import { unpackArchive } from './unpackArchive.ts';

/** The most bytes of a source whose size nobody has stated. */
const MAX_SIZE = 8 * 1024 ** 3;

/**
 * The caches that have a source. It needs nobody's word: its digest is in the recipe, and `fetchSource` compares it.
 */
export async function cachedSource(
  source: Source,
  caches: readonly Substituter[],
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly Candidate[]> {
  const path = source.kind === 'tree' ? artifactPath(source.digest) : sourcePath(source.digest);
  const found: Candidate[] = [];
  for (const cache of caches) {
    if (!(await cache.has(path))) continue;
    found.push({
      where: `${cache.where} (${path})`,
      fetch: async (place) => {
        const limit = source.size ?? MAX_SIZE;
        const digest = await cache.use(path, (object) =>
          source.kind === 'tree'
            ? unpackArchive(object, place, { limit: MAX_SIZE, signal })
            : copyTo(place, object, limit, signal),
        );
        if (digest === undefined) throw new VmbuildError('SOURCE_UNAVAILABLE', 'it is of no more use');
        return digest;
      },
    });
  }
  return found;
}

async function copyTo(place: string, object: OpenObject, limit: number, signal: AbortSignal): Promise<Digest> {
  const hash = sha256Stream();
  let length = 0;
  await pipeline(
    object.body,
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        length += chunk.length;
        if (length > limit) throw new VmbuildError('CACHE_UNUSABLE', `it has more than ${limit} bytes`);
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(place, { flags: 'wx' }),
    { signal },
  );
  return hash.digest();
}
