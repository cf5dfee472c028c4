import { parentPort, workerData } from 'node:worker_threads';
import { sha256Stream } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { listTree, packTreePieces } from './tree.ts';

/** What the worker answers, once. */
export type InspectReply =
  | { readonly ok: true; readonly facts: ArtifactFacts }
  | { readonly ok: false; readonly invalid: boolean; readonly code: string | undefined; readonly message: string };

function inspect(folder: string): ArtifactFacts {
  const entries = listTree(folder, 'artifact', true);
  const hash = sha256Stream();
  let size = 0;
  const files = new Map<string, { size: number; hash: ReturnType<typeof sha256Stream> }>();
  // One read serves both digests: of the canonical tar, and of each top-level file by itself.
  for (const { entry, bytes, content } of packTreePieces(folder, entries)) {
    hash.update(bytes);
    size += bytes.length;
    if (entry?.type !== 'file' || entry.path.includes('/')) continue;
    let file = files.get(entry.path);
    if (file === undefined) files.set(entry.path, (file = { size: entry.size, hash: sha256Stream() }));
    if (content) file.hash.update(bytes);
  }
  return {
    digest: hash.digest(),
    size,
    files: [...files].map(([name, file]) => ({ name, size: file.size, digest: file.hash.digest() })),
  };
}

let reply: InspectReply;
try {
  reply = { ok: true, facts: inspect(workerData as string) };
} catch (error) {
  const invalid = error instanceof VmbuildError;
  reply = { ok: false, invalid, code: systemErrorCode(error), message: errorMessage(error) };
}
parentPort?.postMessage(reply);
