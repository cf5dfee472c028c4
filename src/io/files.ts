import { randomUUID } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fsync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { chmod, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { systemErrorCode } from '../model/errors.ts';
import { readSmallFolder } from './smallFolder.ts';

// What only touches names and small files is done synchronously here: it takes microseconds, and handing it to another
// thread and back takes ten times as long. What waits for the disk, or goes through large trees, is not: some file systems
// (ext4 without a journal, mounted with `discard`) tell the disk of each folder that is removed, and wait for milliseconds.

/** Names in a folder; none if there is no such folder. */
export function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** True if `path` exists; a dangling link counts as existing. */
export async function exists(path: string): Promise<boolean> {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** True if this process may write below the folder `path`. */
export function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes a file so that, whatever happens, a reader finds the old content or all of the new: into a temporary
 * file, flushed, renamed, and the folder flushed.
 *
 * @param staging what the path of the temporary file begins with, on the same file system; by default it is beside the
 * file. Who is killed meanwhile leaves it there, so it should be where somebody sweeps.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  staging?: string,
  mode = 0o644,
): Promise<void> {
  await replaceFile(path, data, staging, flush, mode);
  await flush(dirname(path));
}

/**
 * The same for what may be lost: other processes find the old content or all of the new, but after a power cut the
 * file may be the old one, or empty.
 */
export async function writeFileUnflushed(path: string, data: string | Uint8Array, staging?: string): Promise<void> {
  await replaceFile(path, data, staging, async () => {});
}

async function replaceFile(
  path: string,
  data: string | Uint8Array,
  staging: string | undefined,
  beforeRename: (temporary: string) => Promise<void>,
  mode = 0o644,
): Promise<void> {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  const prefix = staging ?? join(folder, `.${basename(path)}.`);
  const temporary = `${prefix}${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    writeFileSync(temporary, data, { flag: 'wx', mode });
    await beforeRename(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

const fsyncDescriptor = promisify(fsync);

/** Flushes a file, or the entries of a folder: what was renamed or created in it then survives a power cut. */
export async function flush(path: string): Promise<void> {
  const descriptor = openSync(path, 'r');
  try {
    await fsyncDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A private (0700) folder that is removed when the scope ends. */
export async function temporaryFolder(
  parent: string,
  prefix: string,
): Promise<AsyncDisposable & { readonly path: string }> {
  mkdirSync(parent, { recursive: true });
  const path = mkdtempSync(join(parent, prefix));
  return { path, [Symbol.asyncDispose]: () => removeTree(path) };
}

/** Removes a tree even where a build left directories that their owner may not write to. */
export async function removeTree(path: string): Promise<void> {
  const small = readSmallFolder(path);
  if (small !== undefined) {
    try {
      await Promise.all(small.files.map((file) => unlink(file)));
      for (const folder of small.folders.toReversed()) await rmdir(folder);
      return;
    } catch {
      // The thorough way, below.
    }
  }
  if (await removeThoroughly(path)) return;
  await makeRemovable(Buffer.from(path));
  if (await removeThoroughly(path)) return;
  rmSync(path, { recursive: true, force: true }); // it knows why not
}

/**
 * True if rm(1) has removed a tree: it takes constant memory, where Node's own asynchronous rm took 2 GB for a million
 * files, and it can deal with paths of any length.
 */
async function removeThoroughly(path: string): Promise<boolean> {
  // Loaded here: everything that only looks whether something is there starts faster without.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    const child = spawn('rm', ['-rf', '--', path], { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

/** Bytes of a path from which on what lies there is moved up, long before it is too long for the kernel (4095). */
const DEEP = 2048;

/**
 * Lets everything below a folder be removed: folders become writable, and those that lie too deep for their path to be
 * named are moved up into `root`. Names are bytes here: a build may have left one that is not UTF-8.
 */
async function makeRemovable(root: Buffer): Promise<void> {
  const pending = [root];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    try {
      await chmod(folder, 0o700);
      for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
        if (!entry.isDirectory()) continue;
        const path = Buffer.concat([folder, Buffer.from('/'), entry.name]);
        pending.push(path.length < DEEP ? path : await moveUp(path, root));
      }
    } catch (error) {
      // Removed by somebody else meanwhile.
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  }
}

/** Moves a folder into `root`, and gives its new path. */
async function moveUp(folder: Buffer, root: Buffer): Promise<Buffer> {
  await chmod(folder, 0o700); // to become another folder's it must be writable itself
  const path = Buffer.concat([root, Buffer.from(`/deep-${randomUUID()}`)]);
  await rename(folder, path);
  return path;
}
