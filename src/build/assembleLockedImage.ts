import { temporaryFolder } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import type { Source } from '../model/source.ts';
import { adoptImage, type StoredImage } from '../store/images.ts';
import { type Store, scratchPrefix } from '../store/openStore.ts';
import { assembleImage, checkImageDigest } from '../images/assemble.ts';
import { type ImageLock, type LockedDeb, readImageLock } from '../images/lockFile.ts';
import type { LockedImage } from './evaluate.ts';
import { lockPath } from './images.ts';

/** What assembling needs from its surroundings. */
interface Context {
  readonly store: Store;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number) => void;
  /** Path of a package as a fixed-output source. */
  readonly deb: (deb: Source) => Promise<string>;
}

/** The same, with a look at the digest before anything is stored. */
interface CheckedContext extends Context {
  readonly check: (digest: Digest) => void;
}

/** A locked package as a source: a pool file of the Debian archive, or of its snapshot at the time of the lock. */
function debSource(deb: LockedDeb, lock: Pick<ImageLock, 'index'>): Source {
  return {
    kind: 'file',
    digest: deb.sha256,
    name: deb.path.slice(deb.path.lastIndexOf('/') + 1),
    size: deb.size,
    locations: [{ type: 'debian', path: deb.path, snapshot: lock.index.snapshot }],
  };
}

/**
 * Assembles the image of a lock into the store.
 *
 * @throws VmbuildError IMAGE_MISMATCH if the result is not the image that the lock names.
 */
export async function assembleLockedImage(image: LockedImage, context: Context): Promise<StoredImage> {
  const lock = await readImageLock(lockPath(image.folder));
  return assembleIntoStore(lock, { ...context, check: (digest) => checkImageDigest(image.name, lock, digest) });
}

/** Assembles whatever packages are given into the store. */
export async function assembleIntoStore(
  lock: Pick<ImageLock, 'debs' | 'index'>,
  { store, signal, progress, deb, check }: CheckedContext,
): Promise<StoredImage> {
  // All downloads are asked for at once; how many run together is the provisioner's affair.
  const paths = new Map<LockedDeb, Promise<string>>();
  for (const locked of lock.debs) {
    const path = deb(debSource(locked, lock));
    path.catch(() => {});
    paths.set(locked, path);
  }
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const assembled = await assembleImage(lock, {
    debPath: (locked) => paths.get(locked) as Promise<string>,
    scratch: scratch.path,
    signal,
    onProgress: progress,
  });
  check(assembled.digest);
  return await adoptImage(store, assembled.rootfs, assembled.config, {
    rootfs: assembled.layerDigest,
    sources: lock.debs.map(({ sha256 }) => sha256),
  });
}
