import { parentPort } from 'node:worker_threads';
import { listTree, treeDigest } from '../io/tree.ts';
import type { Digest } from '../model/digest.ts';
import { applyLayers } from './applyLayers.ts';
import { applyFixUps, fitToSandbox } from './fixUps.ts';
import type { ImageTree } from './imageTree.ts';
import { mergePackages } from './mergePackages.ts';
import type { UnpackedPackage } from './packageEntry.ts';
import type { LayerEntry } from './unpackLayer.ts';
import { answer } from './workerPool.ts';
import { writeTree } from './writeTree.ts';

/** All unpacked packages, or all unpacked layers, and the folder to make of them. */
export type ComposeJob = { readonly rootfs: string } & (
  { readonly packages: readonly UnpackedPackage[] } | { readonly layers: readonly (readonly LayerEntry[])[] }
);

/** Makes the root file system and returns the digest of its layer, taken from what is on disk. */
function compose(job: ComposeJob): Digest {
  const { rootfs } = job;
  let tree: ImageTree;
  if ('packages' in job) applyFixUps((tree = mergePackages(job.packages)));
  else fitToSandbox((tree = applyLayers(job.layers)));
  writeTree(tree, rootfs);
  return treeDigest(rootfs, listTree(rootfs, 'image'));
}

// A worker thread, because all of this is synchronous.
parentPort?.on('message', (job: ComposeJob) => void answer(() => compose(job)));
