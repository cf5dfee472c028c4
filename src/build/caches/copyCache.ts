import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { temporaryFolder } from '../../io/files.ts';
import type { Envelope } from '../../model/envelope.ts';
import { changeEnvelopes, changeObject } from '../../substituters/appendLines.ts';
import { kindOfPath, parseSigners, REFRESH_MS, SIGNERS_PATH, STATEMENTS_LIMIT } from '../../substituters/layout.ts';
import type { ObjectStore } from '../../substituters/objectStore.ts';
import { checkObject, isWrongContent } from './checkObject.ts';
import { inOrder, namedBy, readEnvelopesAt, realisationIn } from './contents.ts';

/** Objects that are copied at once. */
const COPIES = 4;

/** How a copy is done. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly onCopied: (path: string, size: number) => void;
  readonly onLeftOut: (path: string, why: string) => void;
}

/** What was copied. */
export interface CopySummary {
  readonly written: number;
  readonly present: number;
  readonly bytes: number;
  readonly leftOut: number;
}

/**
 * Copies what is at these paths from one cache to another. Each object is compared with its name on the way, and what is
 * damaged is left out together with what is said of it; statements are added to those that are there. Whatever names
 * something is written after it, so readers and pushes may go on in both.
 */
export async function copyCache(
  from: ObjectStore,
  to: ObjectStore,
  paths: readonly string[],
  options: CopyOptions,
): Promise<CopySummary> {
  const { signal, onCopied, onLeftOut } = options;
  await using scratch = await temporaryFolder(tmpdir(), 'vmbuild-copy-');
  const ordered = inOrder(paths.filter((path) => kindOfPath(path) !== undefined));
  const summary = { written: 0, present: 0, bytes: 0, leftOut: 0 };
  const leaveOut = (path: string, why: string): void => {
    summary.leftOut += 1;
    onLeftOut(path, why);
  };
  const copyObject = async (path: string): Promise<void> => {
    signal.throwIfAborted();
    if (await isFresh(to, path)) return void (summary.present += 1);
    const place = join(scratch.path, path.replaceAll('/', '-'));
    try {
      const checked = await checkObject(from, path, { signal, copyTo: place });
      if (checked === undefined) return leaveOut(path, 'it is not there any more');
      await to.put(path, {
        ...checked,
        open: () => createReadStream(place, { highWaterMark: 1024 * 1024 }),
        path: place,
        disposable: true,
      });
      summary.written += 1;
      summary.bytes += checked.size;
      onCopied(path, checked.size);
    } catch (error) {
      signal.throwIfAborted();
      if (!isWrongContent(error)) throw error;
      leaveOut(path, error.message);
    } finally {
      await rm(place, { force: true });
    }
  };
  const queue = new PQueue({ concurrency: COPIES });
  const immutable = ordered.filter((path) => kindOfPath(path) === 'immutable');
  await queue.addAll(immutable.map((path) => () => copyObject(path)));
  for (const path of ordered.filter((each) => kindOfPath(each) === 'changing' && each !== SIGNERS_PATH)) {
    signal.throwIfAborted();
    try {
      await copyStatements(from, to, path);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      leaveOut(path, error.message);
    }
  }
  if (ordered.includes(SIGNERS_PATH)) await copySigners(from, to);
  return summary;
}

async function isFresh(cache: ObjectStore, path: string): Promise<boolean> {
  const there = await cache.stat(path);
  return there !== undefined && (there.writtenAt === undefined || Date.now() - there.writtenAt < REFRESH_MS);
}

/** Those whose artifacts the other cache has by now: a reader there must find what a statement names. */
async function copyStatements(from: ObjectStore, to: ObjectStore, path: string): Promise<void> {
  const wanted: Envelope[] = [];
  for (const envelope of await readEnvelopesAt(from, path)) {
    const statement = realisationIn(envelope);
    const complete = statement === undefined || (await to.stat(namedBy(statement).artifact)) !== undefined;
    if (complete) wanted.push(envelope);
  }
  if (wanted.length === 0) return;
  await changeEnvelopes(to, path, (before) => {
    const added = wanted.filter(({ payload }) => !before.some((other) => other.payload === payload));
    return added.length === 0 ? undefined : [...before, ...added];
  });
}

async function copySigners(from: ObjectStore, to: ObjectStore): Promise<void> {
  const listed = await from.read(SIGNERS_PATH, STATEMENTS_LIMIT);
  const theirs = parseSigners(listed?.bytes.toString() ?? '');
  await changeObject(to, SIGNERS_PATH, (before) => {
    const ours = parseSigners(before);
    const all = { ...theirs, ...ours };
    return Object.keys(all).length === Object.keys(ours).length ? undefined : `${JSON.stringify(all, null, 1)}\n`;
  });
}
