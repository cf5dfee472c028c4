import { temporaryFolder } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import type { Source } from '../model/source.ts';
import { adoptImage, type StoredImage } from '../store/images.ts';
import { type Store, scratchPrefix } from '../store/openStore.ts';
import { assembleImage, assemblePulledImage, checkImageDigest } from '../images/assemble.ts';
import {
  type LockedDeb,
  type PackagesLock,
  type PulledLayer,
  type PulledLock,
  readImageLock,
} from '../images/lockFile.ts';
import type { LockedImage } from './evaluate.ts';
import { lockPath } from './images.ts';

/** What assembling needs from its surroundings. */
interface Context {
  readonly store: Store;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number) => void;
  /** Path of a package or layer as a fixed-output source. */
  readonly part: (part: Source) => Promise<string>;
}

/** The same, with a look at the digest before anything is stored. */
interface CheckedContext extends Context {
  readonly check: (digest: Digest) => void;
}

/** A locked package as a source: a pool file of the Debian archive, or of its snapshot at the time of the lock. */
function debSource(deb: LockedDeb, lock: Pick<PackagesLock, 'index'>): Source {
  return {
    kind: 'file',
    digest: deb.sha256,
    name: deb.path.slice(deb.path.lastIndexOf('/') + 1),
    size: deb.size,
    locations: [{ type: 'debian', path: deb.path, snapshot: lock.index.snapshot }],
  };
}

/** A locked layer as a source: a blob of the registry that the image came from. */
function layerSource(layer: PulledLayer, { pulled }: Pick<PulledLock, 'pulled'>): Source {
  const { registry, repository } = pulled;
  return {
    kind: 'file',
    digest: layer.digest,
    name: `a layer of ${registry}/${repository}`,
    size: layer.size,
    locations: [{ type: 'oci', registry, repository }],
  };
}

/** Everything that the image of a lock is made of, as sources. */
export function partSources(lock: ImageParts): readonly Source[] {
  return 'pulled' in lock
    ? lock.pulled.layers.map((layer) => layerSource(layer, lock))
    : lock.debs.map((deb) => debSource(deb, lock));
}

/** The part of a lock that decides the image. */
type ImageParts = Pick<PackagesLock, 'debs' | 'index'> | Pick<PulledLock, 'pulled'>;

/**
 * Assembles the image of a lock into the store.
 *
 * @throws VmbuildError IMAGE_MISMATCH if the result is not the image that the lock names.
 */
export async function assembleLockedImage(image: LockedImage, context: Context): Promise<StoredImage> {
  const lock = await readImageLock(lockPath(image.folder));
  return assembleIntoStore(lock, { ...context, check: (digest) => checkImageDigest(image.name, lock, digest) });
}

/** Assembles whatever packages or layers are given into the store. */
export async function assembleIntoStore(
  lock: ImageParts,
  { store, signal, progress, part, check }: CheckedContext,
): Promise<StoredImage> {
  // All downloads are asked for at once; how many run together is the provisioner's affair.
  const paths = new Map<Digest, Promise<string>>();
  for (const source of partSources(lock)) {
    const path = part(source);
    path.catch(() => {});
    paths.set(source.digest, path);
  }
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const options = { scratch: scratch.path, signal, onProgress: progress };
  const assembled = await ('pulled' in lock
    ? assemblePulledImage(lock, { ...options, partPath: ({ digest }) => paths.get(digest) as Promise<string> })
    : assembleImage(lock, { ...options, partPath: ({ sha256 }) => paths.get(sha256) as Promise<string> }));
  check(assembled.digest);
  return await adoptImage(store, assembled.rootfs, assembled.config, {
    rootfs: assembled.layerDigest,
    sources: [...paths.keys()],
  });
}
