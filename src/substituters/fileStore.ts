import { constants, createReadStream, createWriteStream } from 'node:fs';
import { chmod, copyFile, link, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { flush, writeFileAtomic } from '../io/files.ts';
import { acquireLock } from '../io/lock.ts';
import { sha256 } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { denied } from './denied.ts';
import type { ListedObject, ObjectBody, ObjectStore } from './objectStore.ts';

/** Bytes a read; loopback servers want large ones. */
const CHUNK = 1024 * 1024;

/** Held while a file of statements is replaced. */
const LOCK = '.lock';

/** A folder: a disk that is shared, a stick, or what `cache serve` serves. */
export function openFileStore(root: string, signal: AbortSignal): ObjectStore {
  return {
    where: `file://${root}`,
    remote: false,
    read: (path, limit) =>
      unlessMissing(async () => {
        const facts = await stat(join(root, path));
        // A pipe would be waited for.
        if (!facts.isFile()) return undefined;
        if (facts.size > limit) throw tooLong(join(root, path), limit);
        const bytes = await readFile(join(root, path));
        return { bytes, version: sha256(bytes) };
      }),
    open: (path) =>
      unlessMissing(async () => {
        const facts = await stat(join(root, path));
        if (!facts.isFile()) return undefined;
        const body = createReadStream(join(root, path), { highWaterMark: CHUNK });
        return { body, size: facts.size, close: () => void body.destroy() };
      }),
    stat: (path) =>
      unlessMissing(async () => {
        const { size, mtimeMs } = await stat(join(root, path));
        return { size, writtenAt: mtimeMs };
      }),
    put: (path, body) => putFile(join(root, path), body, signal),
    replace: async (path, bytes, version) => {
      const place = join(root, path);
      await mkdir(dirname(place), { recursive: true });
      await using _lock = await acquireLock(join(root, LOCK), { signal });
      const before = await unlessMissing(() => readFile(place));
      if ((before && sha256(before)) !== version) return false;
      await writeFileAtomic(place, bytes);
      return true;
    },
    list: () => listFiles(root),
    collect: (path, before) => collectFile(join(root, path), before),
  };
}

async function writeBody(place: string, body: ObjectBody, signal: AbortSignal): Promise<void> {
  let length: number;
  if (body.path === undefined) {
    const file = createWriteStream(place, { flags: 'wx', highWaterMark: CHUNK });
    await pipeline(Readable.from(body.open(), { objectMode: false }), file, { signal });
    length = file.bytesWritten;
  } else {
    const linked = body.disposable === true && (await isLinked(body.path, place));
    // In the kernel, and on some file systems without copying anything.
    if (!linked) await copyFile(body.path, place, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(place, 0o644);
    length = (await stat(place)).size;
  }
  if (length !== body.size) throw new Error(`${length} bytes came instead of ${body.size}`);
}

/** Gives a file a second name; false if that cannot be, because that is on another file system, or one without such names. */
async function isLinked(path: string, place: string): Promise<boolean> {
  try {
    await link(path, place);
    return true;
  } catch (error) {
    if (['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemErrorCode(error) ?? ''))
      return false;
    throw error;
  }
}

async function* listFiles(root: string): AsyncGenerator<ListedObject> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === LOCK) continue;
    const place = join(entry.parentPath, entry.name);
    // It may be gone again.
    const facts = await unlessMissing(() => stat(place));
    if (facts !== undefined) yield { path: relative(root, place), size: facts.size, writtenAt: facts.mtimeMs };
  }
}

/** Moved aside first, and looked at there: whoever writes it meanwhile writes another file, and loses nothing. */
async function collectFile(place: string, before: number): Promise<boolean> {
  const aside = temporaryName(place);
  const moved = await unlessMissing(async () => (await rename(place, aside), true));
  if (moved === undefined) return false;
  const old = (await stat(aside)).mtimeMs < before;
  if (!old) {
    // Unless somebody has put another in its place.
    await link(aside, place).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
  }
  await rm(aside, { force: true });
  return old;
}

const temporaryName = (place: string): string => `${place}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;

/** Written beside its place, flushed, and renamed: a reader finds nothing or all of it. */
async function putFile(place: string, body: ObjectBody, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  const temporary = temporaryName(place);
  try {
    await writeBody(temporary, body, signal);
    await flush(temporary);
    await rename(temporary, place);
    await flush(dirname(place));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    if (['ENOENT', 'ENOTDIR'].includes(code)) return undefined;
    if (['EACCES', 'EPERM'].includes(code)) throw denied('the folder', errorMessage(error));
    throw error;
  }
}

function tooLong(path: string, limit: number): VmbuildError {
  return new VmbuildError('CACHE_UNUSABLE', `${path} is longer than ${limit} bytes`);
}
