import { join } from 'node:path';
import { temporaryFolder } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { adoptTree } from '../store/artifacts.ts';
import { scratchPrefix, type Store } from '../store/openStore.ts';
import { artifactPath } from '../substituters/layout.ts';
import type { Substituter } from '../substituters/substituter.ts';
import { unpackArchive, wrongContent } from './unpackArchive.ts';

/** What fetching a tree needs from its surroundings. */
interface FetchTreeContext {
  readonly store: Store;
  readonly signal: AbortSignal;
  /** Bytes of the archive so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A tree that is known by its digest. */
interface WantedTree {
  readonly digest: Digest;
  /** Bytes of its canonical tar, as whoever is believed has stated it; no more is ever unpacked. */
  readonly size: number;
}

/**
 * Takes a tree from the first of the caches that has it, into the store; undefined if none has. What comes is hashed and
 * unpacked as it comes, once, in a scratch folder, and nothing of it is kept if it is another.
 */
export async function fetchTree(
  { digest, size }: WantedTree,
  caches: readonly Substituter[],
  { store, signal, onProgress }: FetchTreeContext,
): Promise<ArtifactFacts | undefined> {
  for (const cache of caches) {
    const facts = await cache.use(artifactPath(digest), async (object) => {
      await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
      const folder = join(scratch.path, 'tree');
      const progress = (done: number): void => onProgress?.(done, size);
      const found = await unpackArchive(object, folder, { limit: size, signal, onProgress: progress });
      if (found !== digest) throw wrongContent(`the archive is ${found}`);
      // It computes the digest once more, from what is on the disk.
      return await adoptTree(store, folder);
    });
    if (facts !== undefined) return facts;
  }
  return undefined;
}
