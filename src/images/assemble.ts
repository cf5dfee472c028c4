import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ociConfig } from '../formats/ociImage.ts';
import { removeTree } from '../io/files.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { explainSystemError, VmbuildError } from '../model/errors.ts';
import { SANDBOX } from '../model/sandbox.ts';
import type { ComposeJob } from './composeWorker.ts';
import {
  ASSEMBLER_VERSION,
  type ImageLock,
  type LockedDeb,
  type PackagesLock,
  type PulledLayer,
  type PulledLock,
} from './lockFile.ts';
import type { UnpackedPackage } from './packageEntry.ts';
import type { UnpackJob } from './unpackDeb.ts';
import type { LayerEntry, LayerJob } from './unpackLayer.ts';
import { runInWorkers } from './workerPool.ts';

/** What assembling may use, and whom it tells. */
export interface AssembleOptions<Part> {
  /**
   * Path of a local copy of a package or layer, which is checked against the lock and only read. Asked for one after
   * another, before the first is unpacked: start downloads beforehand.
   */
  readonly partPath: (part: Part) => Promise<string>;
  /** An empty private folder; the result is left in it. The caller removes it, also after a failure. */
  readonly scratch: string;
  readonly signal?: AbortSignal | undefined;
  /** Packages or layers unpacked so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Worker threads for unpacking; by default one per core, at most 8. */
  readonly workers?: number | undefined;
}

/** An image as a folder and a document. */
export interface AssembledImage {
  /** The folder `rootfs` in the scratch folder. Its canonical tar is the one layer of the image. */
  readonly rootfs: string;
  /** The OCI config, as canonical JSON. */
  readonly config: string;
  /** sha256 of `config`: the name of the image. */
  readonly digest: Digest;
  /** sha256 of the canonical tar of `rootfs`: the layer's digest and diffID. */
  readonly layerDigest: Digest;
}

/**
 * Makes an image of exactly the packages in a lock: no root, no dpkg, no maintainer scripts, and the same bytes
 * wherever and in whatever order it happens. Sub-folders of `scratch` other than the result are removed.
 *
 * @throws VmbuildError SOURCE_MISMATCH if a package is not the locked one, IMAGE_ASSEMBLY if packages do not fit
 * together or hold what an image cannot; the signal's reason when aborted.
 */
export function assembleImage(
  lock: Pick<PackagesLock, 'debs'>,
  options: AssembleOptions<LockedDeb>,
): Promise<AssembledImage> {
  // The largest first: two threads then end at about the same time.
  const debs = lock.debs.toSorted((a, b) => b.size - a.size);
  return assemble(debs, options, {
    worker: 'unpackWorker',
    job: (deb, file, blobPrefix): UnpackJob => ({ deb, file, blobPrefix }),
    compose: (packages: readonly UnpackedPackage[], rootfs) => ({ packages, rootfs }),
  });
}

/**
 * Makes an image of the layers of one that others have made: modes are reduced, owners and times are gone, and what the
 * sandbox needs is there. So it has a digest of its own; its lock says what it was made of.
 *
 * @throws as `assembleImage`.
 */
export function assemblePulledImage(
  lock: Pick<PulledLock, 'pulled'>,
  options: AssembleOptions<PulledLayer>,
): Promise<AssembledImage> {
  return assemble(lock.pulled.layers, options, {
    worker: 'unpackLayerWorker',
    job: (layer, file, blobPrefix): LayerJob => ({ layer, file, blobPrefix }),
    compose: (layers: readonly (readonly LayerEntry[])[], rootfs) => ({ layers, rootfs }),
  });
}

/** What is particular to one kind of parts: the worker that unpacks one, and what is made of all. */
interface Parts<Part, Job, Unpacked> {
  readonly worker: string;
  readonly job: (part: Part, file: string, blobPrefix: string) => Job;
  readonly compose: (unpacked: readonly Unpacked[], rootfs: string) => ComposeJob;
}

async function assemble<Part, Job, Unpacked>(
  parts: readonly Part[],
  { partPath, scratch, signal, onProgress, workers }: AssembleOptions<Part>,
  { worker, job, compose }: Parts<Part, Job, Unpacked>,
): Promise<AssembledImage> {
  const blobs = join(scratch, 'blobs');
  const rootfs = join(scratch, 'rootfs');
  try {
    await mkdir(blobs);
    const jobs: Job[] = [];
    for (const [index, part] of parts.entries()) {
      signal?.throwIfAborted();
      jobs.push(job(part, await partPath(part), join(blobs, `${index}-`)));
    }
    const unpacked = await runInWorkers<Job, Unpacked>(worker, jobs, {
      size: workers ?? Math.min(availableParallelism(), 8),
      signal,
      onDone: (done) => onProgress?.(done, jobs.length),
    });
    const [layerDigest] = await runInWorkers<ComposeJob, Digest>('composeWorker', [compose(unpacked, rootfs)], {
      size: 1,
      signal,
    });
    const config = imageConfig(layerDigest as Digest);
    return { rootfs, config, digest: sha256(config), layerDigest: layerDigest as Digest };
  } catch (error) {
    throw explainSystemError(error, 'assembling an image');
  } finally {
    await removeTree(blobs);
  }
}

/** The OCI config of an image with this one layer. */
export function imageConfig(layerDigest: Digest): string {
  return ociConfig({
    diffIds: [layerDigest],
    env: [`PATH=${SANDBOX.path}`],
    workingDir: SANDBOX.workDir,
    user: `${SANDBOX.uid}:${SANDBOX.gid}`,
    command: ['/bin/sh'],
    history: [`vmbuild image assembler ${ASSEMBLER_VERSION}`],
  });
}

/**
 * Compares an assembled image with the one that its lock names.
 *
 * @throws VmbuildError IMAGE_MISMATCH with both digests.
 */
export function checkImageDigest(name: string, lock: ImageLock, digest: Digest): void {
  if (digest === lock.image.digest) return;
  const hint =
    lock.image.assembler === ASSEMBLER_VERSION
      ? 'The lock was changed by hand, or the assembler has a defect: please report it with the lock.'
      : `The lock was made by assembler ${lock.image.assembler}, this vmbuild has ${ASSEMBLER_VERSION}. Run: vmbuild image lock ${name}`;
  throw new VmbuildError(
    'IMAGE_MISMATCH',
    `the image ${name} was assembled as ${digest}, but its lock names ${lock.image.digest}`,
    { step: name, hints: [hint] },
  );
}
