import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists, removeTree, flush } from '../io/files.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { explainSystemError, systemErrorCode } from '../model/errors.ts';
import { flushTree } from './artifacts.ts';
import type { Store } from './openStore.ts';

/** An image in the store. */
export interface StoredImage {
  readonly digest: Digest;
  /** Folder with the unpacked root. */
  readonly rootfs: string;
  /** The OCI config, byte for byte. */
  readonly config: string;
}

/** The image with this digest, or undefined if the store lacks it or has only half of it. */
export async function findImage(store: Store, digest: Digest): Promise<StoredImage | undefined> {
  const folder = store.layout.image(digest);
  try {
    const config = await readFile(join(folder, 'config.json'), 'utf8');
    const rootfs = join(folder, 'rootfs');
    return sha256(config) === digest && (await exists(rootfs)) ? { digest, rootfs, config } : undefined;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Takes an assembled root (on the store's file system) and its config into the store; the digest is the config's. An
 * image that is there already stays, because builds may be running in it.
 */
export async function adoptImage(store: Store, rootfs: string, config: string): Promise<StoredImage> {
  const digest = sha256(config);
  const present = await findImage(store, digest);
  if (present !== undefined) {
    await removeTree(rootfs);
    return present;
  }
  const folder = store.layout.image(digest);
  const staging = `${rootfs}.image`;
  try {
    await mkdir(staging);
    await rename(rootfs, join(staging, 'rootfs'));
    await writeFile(join(staging, 'config.json'), config);
    await flushTree(staging);
    await mkdir(dirname(folder), { recursive: true });
    // Only half an image, or findImage would have returned it.
    await removeTree(folder);
    await rename(staging, folder);
    await flush(dirname(folder));
  } catch (error) {
    throw explainSystemError(error, 'storing an image');
  }
  return { digest, rootfs: join(folder, 'rootfs'), config };
}
