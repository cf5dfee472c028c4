import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { TarEntry } from '../formats/tarHeader.ts';
import { sha256Stream } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { ContentAnswer, ContentJob, FileFacts } from './contentReader.ts';
import { listTree } from './tree.ts';
import { readTree } from './treeFacts.ts';

const CHUNK = 1024 * 1024;

/** Names of entries whose modes are not those that a stored tree has: whoever reads it would see something else. */
function wrongModes(folder: string, entries: readonly TarEntry[]): string[] {
  return entries
    .filter(({ path, type, mode }) => type !== 'symlink' && (lstatSync(`${folder}/${path}`).mode & 0o7777) !== mode)
    .map(({ path }) => path);
}

function fileFacts(path: string): FileFacts {
  const file = openSync(path, 'r');
  try {
    const hash = sha256Stream();
    const buffer = Buffer.allocUnsafe(CHUNK);
    let size = 0;
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      hash.update(buffer.subarray(0, count));
      size += count;
    }
    return { digest: hash.digest(), size };
  } finally {
    closeSync(file);
  }
}

function answer(job: ContentJob): ContentAnswer {
  try {
    if (job.kind === 'file') return { ok: true, facts: { ...fileFacts(job.path), files: [] }, wrongModes: [] };
    const entries = listTree(job.path, job.kind);
    return { ok: true, facts: readTree(job.path, entries), wrongModes: wrongModes(job.path, entries) };
  } catch (error) {
    const code = error instanceof VmbuildError ? undefined : systemErrorCode(error);
    return { ok: false, code, message: errorMessage(error) };
  }
}

parentPort?.on('message', (job: ContentJob) => parentPort?.postMessage(answer(job)));
