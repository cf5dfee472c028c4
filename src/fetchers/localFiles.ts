import { chmod, lstat, mkdir, open, readlink, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists } from '../io/files.ts';
import { listTree } from '../io/tree.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import type { LocalLocation, Source } from '../model/source.ts';
import type { Candidate, FetchContext, Locate, Unusable } from './fetcher.ts';

/** A file or folder on this machine; the path is absolute by now. */
export const locateLocal: Locate<LocalLocation> = async (source, location, context) => [
  copyCandidate(source, location.path, context),
];

/** What the `--source-dir` folders have: by digest, or under the source's own name. */
export async function locateInFolders(source: Source, context: FetchContext): Promise<(Candidate | Unusable)[]> {
  // A name that is a path could lead anywhere; such a source is only looked for by its digest.
  const names = basename(source.name) === source.name ? [source.digest, source.name] : [source.digest];
  const places: (Candidate | Unusable)[] = [];
  for (const folder of context.settings.sourceDirs) {
    for (const name of names) {
      const path = join(folder, name);
      try {
        if (await exists(path)) places.push(copyCandidate(source, path, context));
      } catch (error) {
        places.push({ where: path, reason: errorMessage(error) });
      }
    }
  }
  return places;
}

/** A candidate that copies a file or folder of this machine. */
export function copyCandidate(source: Source, path: string, context: FetchContext): Candidate {
  return {
    where: path,
    fetch: (target) =>
      source.kind === 'tree' ? copyTree(path, target, context.signal) : copyFile(path, target, source, context),
  };
}

/** Copies and hashes in one pass: what is verified is the copy, even if someone changes the original meanwhile. */
async function copyFile(from: string, to: string, source: Source, context: FetchContext): Promise<Digest> {
  await using input = await open(from, 'r');
  const stat = await input.stat();
  if (!stat.isFile()) throw new VmbuildError('SOURCE_UNAVAILABLE', 'is not a regular file');
  if (source.size !== undefined && stat.size !== source.size) {
    throw new VmbuildError('SOURCE_MISMATCH', `has ${stat.size} bytes, expected ${source.size}`);
  }
  await using output = await open(to, 'wx', 0o644);
  const digest = await pump(input, output, context.signal, (received) => context.onProgress(received, stat.size));
  return digest;
}

/** Copies what a canonical tree can hold, with canonical modes. */
async function copyTree(from: string, to: string, signal: AbortSignal): Promise<undefined> {
  if (!(await lstat(from)).isDirectory()) throw new VmbuildError('SOURCE_UNAVAILABLE', 'is not a folder');
  for (const entry of listTree(from)) {
    signal.throwIfAborted();
    const target = join(to, entry.path);
    if (entry.type === 'directory') await mkdir(target, { mode: 0o755 });
    else if (entry.type === 'symlink') await symlink(await readlink(join(from, entry.path)), target);
    else {
      await using input = await open(join(from, entry.path), 'r');
      await using output = await open(target, 'wx', entry.mode);
      await pump(input, output, signal);
      await chmod(target, entry.mode); // whatever the umask is
    }
  }
  return undefined;
}

type File = Awaited<ReturnType<typeof open>>;

async function pump(
  from: File,
  to: File,
  signal: AbortSignal,
  onProgress?: (received: number) => void,
): Promise<Digest> {
  const hash = sha256Stream();
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (let received = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return hash.digest();
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    await to.writeFile(chunk); // appends at the current position, and repeats short writes
    received += bytesRead;
    onProgress?.(received);
  }
}
