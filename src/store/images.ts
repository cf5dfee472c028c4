import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists, flush, removeTree, writeFileAtomic } from '../io/files.ts';
import { canonicalJson, type Json } from '../model/canonicalJson.ts';
import { type Digest, isDigest, sha256 } from '../model/digest.ts';
import { explainSystemError, systemErrorCode } from '../model/errors.ts';
import { flushTree } from './artifacts.ts';
import { stagingPath, type Store } from './openStore.ts';

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

/** The same for somebody who is going to rely on it: it is pinned. */
export async function claimImage(store: Store, digest: Digest): Promise<StoredImage | undefined> {
  await store.pins.add([digest]);
  return findImage(store, digest);
}

/** What is known of an image beyond its config. */
export interface ImageRecord {
  /** Digest of the canonical tar (kind `image`) of its root: what a check compares with. */
  readonly rootfs: Digest;
  /** The sources that it was made of, sorted: collected with the image, and no earlier. */
  readonly sources: readonly Digest[];
}

/**
 * Takes a root (on the store's file system) and its config into the store; the digest is the config's. An image that
 * is there already stays, because builds may be running in it. It is pinned.
 */
export async function adoptImage(
  store: Store,
  rootfs: string,
  config: string,
  record: ImageRecord,
): Promise<StoredImage> {
  const digest = sha256(config);
  const present = await claimImage(store, digest);
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
    // First, so that no image is without one.
    await writeImageRecord(store, digest, record);
    // Only half an image, or findImage would have returned it.
    await removeTree(folder);
    await rename(staging, folder);
    await flush(dirname(folder));
  } catch (error) {
    throw explainSystemError(error, 'storing an image');
  }
  return { digest, rootfs: join(folder, 'rootfs'), config };
}

/** Notes what an image was made of. */
export async function writeImageRecord(store: Store, digest: Digest, record: ImageRecord): Promise<void> {
  const noted = { format: 1, rootfs: record.rootfs, sources: [...record.sources].sort() };
  const text = `${JSON.stringify({ ...noted, check: sealOf(noted) }, null, 1)}\n`;
  await writeFileAtomic(store.layout.imageRecord(digest), text, stagingPath(store));
}

/**
 * What an image was made of. Images that were assembled before this was noted have no record; `damaged` if there is one
 * that cannot be believed.
 */
export async function readImageRecord(store: Store, digest: Digest): Promise<ImageRecord | 'damaged' | undefined> {
  let text: string;
  try {
    text = await readFile(store.layout.imageRecord(digest), 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { check, ...noted } = JSON.parse(text) as ImageRecord & { format: number; check: unknown };
    return check === sealOf(noted) && noted.format === 1 ? noted : 'damaged';
  } catch {
    return 'damaged';
  }
}

/** Digest of the one layer that an OCI config names, which is the root of an image that was assembled here. */
export function onlyLayer(config: string): Digest | undefined {
  const { rootfs } = JSON.parse(config) as { rootfs?: { diff_ids?: readonly string[] } };
  const layers = rootfs?.diff_ids ?? [];
  const digest = layers[0]?.replace(/^sha256:/, '');
  return layers.length === 1 && isDigest(digest) ? digest : undefined;
}

/** Nothing else would tell that a bit of the list has turned over. */
function sealOf(record: object): Digest {
  return sha256(canonicalJson(record as Json));
}
