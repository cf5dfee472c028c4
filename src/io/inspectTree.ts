import { toDigest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import type { InspectReply } from './inspectTreeWorker.ts';
import { MODULE_EXTENSION } from './program.ts';
import { isSmallFolder } from './smallFolder.ts';
import { treeFacts } from './treeFacts.ts';

/**
 * Gives a folder canonical modes and computes its digest; a large one in a worker, because reading a toolchain takes a
 * second and progress must go on.
 *
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree cannot hold.
 */
export async function inspectTree(folder: string): Promise<ArtifactFacts> {
  return isSmallFolder(folder) ? treeFacts(folder) : inspectInWorker(folder);
}

async function inspectInWorker(folder: string): Promise<ArtifactFacts> {
  const url = new URL(`./inspectTreeWorker${MODULE_EXTENSION}`, import.meta.url);
  // Loaded here: everything that only looks whether an artifact is there starts faster without.
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(url, { workerData: folder, execArgv: [] });
  try {
    const reply = await new Promise<InspectReply>((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`the worker that reads ${folder} ended with ${code}`)));
    });
    // Errors lose their class on the way between threads.
    if (!reply.ok)
      throw reply.invalid
        ? new VmbuildError('OUTPUT_INVALID', reply.message)
        : Object.assign(new Error(reply.message), { code: reply.code });
    return { ...reply.facts, digest: toDigest(reply.facts.digest) };
  } finally {
    await worker.terminate();
  }
}
