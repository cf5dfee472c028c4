import { fetchBytes } from '../io/http.ts';
import { temporaryFolder, writeFileAtomic } from '../io/files.ts';
import { aptProxy, findDebianMirrors } from '../fetchers/aptMirrors.ts';
import { repositoryOf } from '../fetchers/ociBlob.ts';
import { diffLocks, type LockDifference } from '../images/diffLocks.ts';
import { resolveImage } from '../images/lock.ts';
import {
  formatImageLock,
  type ImageLock,
  type PackagesContents,
  type PackagesDescription,
  type PulledContents,
  type PulledDescription,
  readImageDescription,
  readImageLock,
  sealLock,
} from '../images/lockFile.ts';
import { resolveReference } from '../images/resolveReference.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import { scratchPrefix } from '../store/openStore.ts';
import { assembleIntoStore } from './assembleLockedImage.ts';
import { descriptionPath, lockPath } from './images.ts';
import { createProvisioner, type ProvisionOptions } from './provision.ts';
import { transfer } from './transfer.ts';

/** A new lock, not written yet. */
export interface Relock {
  readonly name: string;
  readonly file: string;
  readonly lock: ImageLock;
  /** Against the lock that was there; undefined if there was none that could be read. */
  readonly difference: LockDifference | undefined;
}

/**
 * Resolves the wanted packages of the image in `folder` against the machine's mirrors, or asks the registry that the image
 * comes from; assembles it into the store to learn its digest, and returns the lock.
 */
export async function relockImage(name: string, folder: string, options: ProvisionOptions): Promise<Relock> {
  const { store, signal } = options;
  const description = await readImageDescription(descriptionPath(folder));
  const contents = await ('from' in description
    ? resolvePulled(name, description, options)
    : resolvePackages(name, description, options));
  await using provisioner = createProvisioner(options);
  const image = await transfer(options, 'image', name, '', (progress) =>
    assembleIntoStore(contents, { store, signal, progress, part: provisioner.package, check: () => {} }),
  );
  const lock = sealLock(contents, image.digest);
  const file = lockPath(folder);
  const old = await readImageLock(file).catch((error: unknown) => {
    if (error instanceof VmbuildError && error.code === 'IMAGE_NOT_LOCKED') return undefined;
    throw error;
  });
  return { name, file, lock, difference: old && diffLocks(old, lock) };
}

async function resolvePackages(
  name: string,
  description: PackagesDescription,
  options: ProvisionOptions,
): Promise<PackagesContents> {
  const { store, signal, emit } = options;
  const mirrors = await usableMirrors(name, options);
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  return await resolveImage(description, {
    mirrors,
    download: async (url, limit) => fetchBytes(url, { limit, signal, proxy: await aptProxy(url, options.fetch) }),
    scratch: scratch.path,
    signal,
    onRetry: (message) => emit({ type: 'transfer-retried', name, message }),
  });
}

async function resolvePulled(
  name: string,
  { from }: PulledDescription,
  { fetch, signal, emit }: ProvisionOptions,
): Promise<PulledContents> {
  if (fetch.offline) {
    throw new VmbuildError('SOURCE_UNAVAILABLE', `${name} cannot be locked offline: that asks its registry`);
  }
  const onRetry = (message: string): void => emit({ type: 'transfer-retried', name, message });
  return await resolveReference(from, (reference) => repositoryOf(reference, fetch, { signal, onRetry }));
}

/** Writes a new lock in place of the old one. */
export async function writeLock({ file, lock }: Relock): Promise<void> {
  try {
    await writeFileAtomic(file, formatImageLock(lock));
  } catch (error) {
    throw new VmbuildError('USAGE', `${file} cannot be written: ${errorMessage(error)}`, { cause: error });
  }
}

async function usableMirrors(name: string, { fetch, signal }: ProvisionOptions): Promise<readonly string[]> {
  if (fetch.offline) {
    throw new VmbuildError('SOURCE_UNAVAILABLE', `${name} cannot be locked offline: that asks a mirror of Debian`);
  }
  const { mirrors, unusable } = await findDebianMirrors({ settings: fetch, signal });
  if (mirrors.length > 0) return mirrors;
  const list = unusable.map(({ where, reason }) => `\n  ${where}: ${reason}`).join('');
  throw new VmbuildError('SOURCE_UNAVAILABLE', `${name} cannot be locked: no mirror of Debian can be used${list}`, {
    hints: ['Name one that this machine can reach in the configuration: debianMirrors.'],
  });
}
