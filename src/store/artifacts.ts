import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exists, flush, removeTree } from '../io/files.ts';
import { inspectTree } from '../io/inspectTree.ts';
import { isSmallFolder } from '../io/smallFolder.ts';
import { listTree } from '../io/tree.ts';
import { type Digest } from '../model/digest.ts';
import { errorMessage, explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import type { Store } from './openStore.ts';

/** Path of an artifact (or a source that is a tree), or undefined if the store lacks it. */
export async function findTree(store: Store, digest: Digest): Promise<string | undefined> {
  const path = store.layout.tree(digest);
  return (await exists(path)) ? path : undefined;
}

/** The same for somebody who is going to rely on it: it is pinned. */
export async function claimTree(store: Store, digest: Digest): Promise<string | undefined> {
  await store.pins.add([digest]);
  return findTree(store, digest);
}

/** True if a tree is not here on purpose: it was collected, or never fetched. */
export async function isCollected(store: Store, digest: Digest): Promise<boolean> {
  return exists(store.layout.collected(digest));
}

/** Notes that a tree is not here on purpose. */
export function markCollected({ layout }: Store, digest: Digest): void {
  try {
    mkdirSync(dirname(layout.collected(digest)), { recursive: true });
    writeFileSync(layout.collected(digest), '');
  } catch (error) {
    throw explainSystemError(error, 'noting what is not in the store');
  }
}

function unmarkCollected({ layout }: Store, digest: Digest): void {
  rmSync(layout.collected(digest), { force: true });
}

/**
 * Takes a folder (on the store's file system) into the store under the digest of its canonical tar. It is
 * given canonical modes, flushed, and only then renamed; the folder is gone afterwards. The tree is pinned.
 *
 * @param limit bytes of its files in all, as their sizes say.
 * @throws VmbuildError OUTPUT_INVALID if it cannot be an artifact; LIMIT_OUTPUT; SOURCE_MISMATCH is the caller's to check.
 */
export async function adoptTree(store: Store, folder: string, limit = Infinity): Promise<ArtifactFacts> {
  try {
    const facts = await inspectTree(folder, limit);
    const path = store.layout.tree(facts.digest);
    await store.pins.add([facts.digest]);
    if (await exists(path)) {
      unmarkCollected(store, facts.digest);
      await removeTree(folder);
      // Whoever put it there may not have come to this yet, and a record is about to name it.
      await flush(dirname(path));
      return facts;
    }
    await flushTree(folder);
    mkdirSync(dirname(path), { recursive: true });
    await moveInto(folder, path);
    // Only now: an older record may name it, and what is neither here nor noted as collected counts as lost.
    unmarkCollected(store, facts.digest);
    return facts;
  } catch (error) {
    throw explainSystemError(error, 'storing an artifact');
  }
}

/** Another process may have been faster; what has that name has that content. */
async function moveInto(folder: string, path: string): Promise<void> {
  try {
    renameSync(folder, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOTEMPTY' && systemErrorCode(error) !== 'EEXIST') throw error;
    await removeTree(folder);
  }
  await flush(dirname(path));
}

/** Flushes a tree to disk: its files and folders one by one, or the whole file system where they are many. */
export async function flushTree(folder: string): Promise<void> {
  if (!isSmallFolder(folder)) return flushFileSystem(folder);
  const flushed = listTree(folder, 'image').filter(({ type }) => type !== 'symlink'); // a link is part of its folder
  // At once: the disk's journal writes them together.
  await Promise.all(flushed.map(({ path }) => flush(join(folder, path))));
}

/**
 * Flushes the file system that holds `folder`. One syncfs(2), through sync(1) since Node has none, costs less
 * than an fsync for each of the thousands of files of a toolchain.
 */
async function flushFileSystem(folder: string): Promise<void> {
  try {
    // Loaded here: everything that only looks whether an artifact is there starts faster without.
    const { spawn } = await import('node:child_process');
    const code = await new Promise<number | null>((resolve, reject) => {
      const child = spawn('sync', ['--file-system', folder], { stdio: 'ignore' });
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code === 0) return;
    throw new Error(`sync(1) exited with ${code}`);
  } catch (error) {
    throw new VmbuildError('STORE_UNUSABLE', `the store cannot be flushed to disk: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
