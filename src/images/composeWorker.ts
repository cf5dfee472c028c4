import { parentPort } from 'node:worker_threads';
import { listTree, treeDigest } from '../io/tree.ts';
import type { Digest } from '../model/digest.ts';
import { applyFixUps } from './fixUps.ts';
import { mergePackages } from './mergePackages.ts';
import type { UnpackedPackage } from './packageEntry.ts';
import { answer } from './workerPool.ts';
import { writeTree } from './writeTree.ts';

/** All unpacked packages, and the folder to make of them. */
export interface ComposeJob {
  readonly packages: readonly UnpackedPackage[];
  readonly rootfs: string;
}

/** Makes the root file system and returns the digest of its layer, taken from what is on disk. */
function compose({ packages, rootfs }: ComposeJob): Digest {
  const tree = mergePackages(packages);
  applyFixUps(tree);
  writeTree(tree, rootfs);
  return treeDigest(rootfs, listTree(rootfs, 'image'));
}

// A worker thread, because all of this is synchronous.
parentPort?.on('message', (job: ComposeJob) => void answer(() => compose(job)));
