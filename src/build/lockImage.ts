import { fetchBytes } from '../io/http.ts';
import { temporaryFolder, writeFileAtomic } from '../io/files.ts';
import { findDebianMirrors } from '../fetchers/aptMirrors.ts';
import { diffLocks, type LockDifference } from '../images/diffLocks.ts';
import { resolveImage } from '../images/lock.ts';
import { formatImageLock, type ImageLock, readImageDescription, readImageLock, sealLock } from '../images/lockFile.ts';
import { VmbuildError } from '../model/errors.ts';
import { scratchPrefix } from '../store/openStore.ts';
import { assembleIntoStore } from './assembleLockedImage.ts';
import { descriptionPath, lockPath } from './images.ts';
import { createProvisioner, type ProvisionOptions, transfer } from './provision.ts';

/** A new lock, not written yet. */
export interface Relock {
  readonly name: string;
  readonly file: string;
  readonly lock: ImageLock;
  /** Against the lock that was there; undefined if there was none that could be read. */
  readonly difference: LockDifference | undefined;
}

/**
 * Resolves the wanted packages of the image in `folder` against the machine's mirrors, assembles the image into
 * the store to learn its digest, and returns the lock.
 */
export async function relockImage(name: string, folder: string, options: ProvisionOptions): Promise<Relock> {
  const { store, signal, emit } = options;
  const description = await readImageDescription(descriptionPath(folder));
  const { mirrors } = await findDebianMirrors({ settings: options.fetch, signal });
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const contents = await resolveImage(description, {
    mirrors,
    download: (url, limit) => fetchBytes(url, { limit, signal }),
    scratch: scratch.path,
    signal,
    onRetry: (message) => emit({ type: 'transfer-retried', name, message }),
  });
  await using provisioner = createProvisioner(options);
  const image = await transfer(options, 'image', name, '', (progress) =>
    assembleIntoStore(contents, { store, signal, progress, deb: provisioner.package, check: () => {} }),
  );
  const lock = sealLock(contents, image.digest);
  const file = lockPath(folder);
  const old = await readImageLock(file).catch((error: unknown) => {
    if (error instanceof VmbuildError && error.code === 'IMAGE_NOT_LOCKED') return undefined;
    throw error;
  });
  return { name, file, lock, difference: old && diffLocks(old, lock) };
}

/** Writes a new lock in place of the old one. */
export async function writeLock({ file, lock }: Relock): Promise<void> {
  await writeFileAtomic(file, formatImageLock(lock));
}
