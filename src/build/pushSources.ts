import { readImageLock } from '../images/lockFile.ts';
import type { Digest } from '../model/digest.ts';
import type { Source } from '../model/source.ts';
import { partSources } from './assembleLockedImage.ts';
import type { Step } from './evaluate.ts';
import { lockPath } from './images.ts';
import type { Uploads } from './uploads.ts';

/** Something that is built with: a source of a step, or a package or layer of its image. */
export interface NeededSource {
  readonly source: Source;
  /** Of which step or image it is. */
  readonly of: string;
}

/**
 * All that steps are built with besides one another, each once: their sources but for vendor blobs, and what their images are
 * assembled from.
 */
export async function sourcesOf(steps: readonly Step[]): Promise<readonly NeededSource[]> {
  const all = new Map<Digest, NeededSource>();
  const images = new Map(steps.map(({ image }) => [image.digest, image]));
  for (const { folder, name } of images.values()) {
    const lock = await readImageLock(lockPath(folder));
    for (const source of partSources(lock)) all.set(source.digest, { source, of: `the image ${name}` });
  }
  for (const { sources, target } of steps) {
    for (const source of Object.values(sources)) {
      if (source.blob === undefined) all.set(source.digest, { source, of: target });
    }
  }
  return [...all.values()];
}

/** Writes a source that the store has, as often as that is asked for once; says if neither it nor the cache has it. */
export async function pushSource(
  { source, of }: NeededSource,
  uploads: Uploads,
  onLeftOut: (what: string, why: string) => void,
): Promise<void> {
  // Only what a push has at hand: others have the source's own locations, too.
  if (!(await uploads.source(source)))
    onLeftOut(`${source.name} of ${of}`, 'it is neither in the store nor in the cache');
}
