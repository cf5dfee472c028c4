import { join } from 'node:path';
import type { Digest } from '../model/digest.ts';

/** Number of the store's layout; it stands in the file `format`. */
export const STORE_FORMAT = 1;

/** Names that a store uses below its folder. */
export const STORE_FOLDERS = [
  'artifacts',
  'bindings',
  'blobs',
  'collected',
  'failed',
  'images',
  'last',
  'locks',
  'logs',
  'quarantine',
  'realisations',
  'roots',
  'running',
  'sources',
  'tmp',
  'verifications',
] as const;

/** Where things lie below the store's folder. Pure: no path here is known to exist. */
export interface StoreLayout {
  readonly root: string;
  /** File with the layout's number. */
  readonly format: string;
  /** Scratch folders of running processes; on the same file system as the rest, so that results move by rename. */
  readonly temporary: string;
  /** What running processes rely on (pins.ts). */
  readonly running: string;
  /** Garbage collection roots (roots.ts). */
  readonly roots: string;
  /** What a self-check has moved out of the way because it was damaged. */
  readonly quarantine: string;
  /** Shared for a moment by whoever begins to rely on something, held by a garbage collection while it moves things away. */
  readonly gcLock: string;
  /** Trees by the digest of their canonical tar: artifacts, and sources that are trees. */
  readonly tree: (digest: Digest) => string;
  /** Sources that are files. */
  readonly file: (digest: Digest) => string;
  /** Vendor blobs by their digest (blobs.ts). */
  readonly blob: (digest: Digest) => string;
  /** Which blobs are bound to the slots of a platform. */
  readonly bindings: (platform: string) => string;
  /** Folder of an image: `rootfs/`, `config.json`. */
  readonly image: (digest: Digest) => string;
  /** What is known of an image beyond its config (images.ts). */
  readonly imageRecord: (digest: Digest) => string;
  /** Empty file that says: this tree is not here because it was collected. */
  readonly collected: (digest: Digest) => string;
  readonly realisation: (buildKey: Digest) => string;
  /** Folder of what verifications found, and of the logs and reports of those that found other bytes. */
  readonly verifications: string;
  readonly verification: (buildKey: Digest) => string;
  /** Log of the last run of a build key, zstd. */
  readonly log: (buildKey: Digest) => string;
  /** What happened last to a target. */
  readonly last: (target: string) => string;
  /** Lock file for making one thing. */
  readonly lock: (what: 'build' | 'source' | 'image', digest: Digest) => string;
}

/** The layout of the store in the folder `root`. */
export function storeLayout(root: string): StoreLayout {
  return {
    root,
    format: join(root, 'format'),
    temporary: join(root, 'tmp'),
    running: join(root, 'running'),
    roots: join(root, 'roots'),
    quarantine: join(root, 'quarantine'),
    gcLock: join(root, 'locks', 'gc'),
    tree: (digest) => join(root, 'artifacts', digest),
    file: (digest) => join(root, 'sources', digest),
    blob: (digest) => join(root, 'blobs', digest),
    bindings: (platform) => join(root, 'bindings', `${platform}.json`),
    image: (digest) => join(root, 'images', digest),
    imageRecord: (digest) => join(root, 'images', `${digest}.json`),
    collected: (digest) => join(root, 'collected', digest),
    realisation: (buildKey) => join(root, 'realisations', `${buildKey}.json`),
    verifications: join(root, 'verifications'),
    verification: (buildKey) => join(root, 'verifications', `${buildKey}.json`),
    log: (buildKey) => join(root, 'logs', `${buildKey}.log.zst`),
    last: (target) => join(root, 'last', `${target}.json`),
    lock: (what, digest) => join(root, 'locks', `${what}-${digest}`),
  };
}
