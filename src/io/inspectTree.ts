import { toDigest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import type { InspectQuestion, InspectReply } from './inspectTreeWorker.ts';
import { MODULE_EXTENSION } from './program.ts';
import { isSmallFolder } from './smallFolder.ts';
import { treeFacts } from './treeFacts.ts';

/**
 * Gives a folder canonical modes and computes its digest; a large one in a worker, because reading a toolchain takes a
 * second and progress must go on.
 *
 * @param limit bytes of its files in all, as their sizes say.
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree cannot hold; LIMIT_OUTPUT.
 */
export async function inspectTree(folder: string, limit = Infinity): Promise<ArtifactFacts> {
  return isSmallFolder(folder) ? treeFacts(folder, limit) : inspectInWorker({ folder, limit });
}

async function inspectInWorker(question: InspectQuestion): Promise<ArtifactFacts> {
  const url = new URL(`./inspectTreeWorker${MODULE_EXTENSION}`, import.meta.url);
  // Loaded here: everything that only looks whether an artifact is there starts faster without.
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(url, { workerData: question, execArgv: [] });
  try {
    const reply = await new Promise<InspectReply>((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`the worker that reads ${question.folder} ended with ${code}`)));
    });
    // Errors lose their class on the way between threads.
    if (!reply.ok)
      throw reply.refused !== undefined
        ? new VmbuildError(reply.refused.code, reply.message, { hints: reply.refused.hints })
        : Object.assign(new Error(reply.message), { code: reply.code });
    return { ...reply.facts, digest: toDigest(reply.facts.digest) };
  } finally {
    await worker.terminate();
  }
}
