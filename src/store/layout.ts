import { join } from 'node:path';
import type { Digest } from '../model/digest.ts';

/** Number of the store's layout; it stands in the file `format`. */
export const STORE_FORMAT = 1;

/** Names that a store uses below its folder. */
export const STORE_FOLDERS = [
  'artifacts',
  'failed',
  'images',
  'last',
  'locks',
  'logs',
  'realisations',
  'sources',
  'tmp',
] as const;

/** Where things lie below the store's folder. Pure: no path here is known to exist. */
export interface StoreLayout {
  readonly root: string;
  /** File with the layout's number. */
  readonly format: string;
  /** Scratch folders of running processes; on the same file system as the rest, so that results move by rename. */
  readonly temporary: string;
  /** Trees by the digest of their canonical tar: artifacts, and sources that are trees. */
  readonly tree: (digest: Digest) => string;
  /** Sources that are files. */
  readonly file: (digest: Digest) => string;
  /** Folder of an image: `rootfs/`, `config.json`. */
  readonly image: (digest: Digest) => string;
  readonly realisation: (buildKey: Digest) => string;
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
    tree: (digest) => join(root, 'artifacts', digest),
    file: (digest) => join(root, 'sources', digest),
    image: (digest) => join(root, 'images', digest),
    realisation: (buildKey) => join(root, 'realisations', `${buildKey}.json`),
    log: (buildKey) => join(root, 'logs', `${buildKey}.log.zst`),
    last: (target) => join(root, 'last', `${target}.json`),
    lock: (what, digest) => join(root, 'locks', `${what}-${digest}`),
  };
}
