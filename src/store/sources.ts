import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { exists, flush } from '../io/files.ts';
import type { Content } from '../model/buildKey.ts';
import { explainSystemError, VmbuildError } from '../model/errors.ts';
import { adoptTree, findTree } from './artifacts.ts';
import type { Store } from './openStore.ts';

/** Path of a fixed-output source, or undefined if the store lacks it. */
export async function findSource(store: Store, content: Content): Promise<string | undefined> {
  if (content.kind === 'tree') return findTree(store, content.digest);
  const path = store.layout.file(content.digest);
  return (await exists(path)) ? path : undefined;
}

/** The same for somebody who is going to rely on it: it is pinned. */
export async function claimSource(store: Store, content: Content): Promise<string | undefined> {
  await store.pins.add([content.digest]);
  return findSource(store, content);
}

/**
 * Takes a *verified* file or tree (on the store's file system) into the store; returns its path there. It is pinned.
 *
 * @throws VmbuildError INTERNAL if a tree is not what it was verified to be.
 */
export async function adoptSource(store: Store, content: Content, path: string): Promise<string> {
  if (content.kind === 'tree') {
    const { digest } = await adoptTree(store, path);
    if (digest !== content.digest) {
      throw new VmbuildError('INTERNAL', `a source tree was verified as ${content.digest} but is ${digest}`);
    }
    return store.layout.tree(digest);
  }
  try {
    const destination = store.layout.file(content.digest);
    await store.pins.add([content.digest]);
    await flush(path);
    await mkdir(dirname(destination), { recursive: true });
    await rename(path, destination);
    await flush(dirname(destination));
    return destination;
  } catch (error) {
    throw explainSystemError(error, 'storing a source');
  }
}
