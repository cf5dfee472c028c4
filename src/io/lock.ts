import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const POLL_MS = 100;

/**
 * Takes an exclusive lock that other processes (and other callers in this one) respect. SQLite holds it as a
 * kernel lock on `path`, so that it is free at once when its holder dies, however it dies. The empty file
 * stays: removing it would race with whoever is opening it.
 *
 * @param onWait called once if somebody else has it.
 */
export async function acquireLock(
  path: string,
  options: { readonly signal: AbortSignal; readonly onWait?: () => void },
): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw unusable(path, explainSystemError(error, 'making its folder'));
  });
  let waiting = false;
  for (;;) {
    options.signal.throwIfAborted();
    const database = open(path);
    try {
      // The transaction is the lock. With its journal in memory nothing is ever written: a lock needs no disk space, and
      // its holder leaves nothing behind when it is killed.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      return {
        [Symbol.asyncDispose]: async () => {
          database.exec('ROLLBACK');
          database.close();
        },
      };
    } catch (error) {
      database.close();
      if (primaryCode(error) !== SQLITE_BUSY) throw unusable(path, error);
    }
    if (!waiting) options.onWait?.();
    waiting = true;
    await sleep(POLL_MS, undefined, { signal: options.signal });
  }
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw unusable(path, error);
  }
}

/** SQLite does not tell why it cannot open a file; whoever tries to make it hears from the system. */
function whyNotOpened(path: string, error: unknown): unknown {
  try {
    // Never an existing one: to close it would release the locks that this process has on it.
    closeSync(openSync(path, 'wx'));
  } catch (refusal) {
    if (systemErrorCode(refusal) !== 'EEXIST') return explainSystemError(refusal, 'making a lock');
  }
  return error;
}

/** SQLite's extended codes hold the primary one in their last byte (https://www.sqlite.org/rescode.html). */
function primaryCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

function unusable(path: string, given: unknown): VmbuildError {
  const error = primaryCode(given) === SQLITE_CANTOPEN ? whyNotOpened(path, given) : given;
  if (error instanceof VmbuildError) return error;
  const code = primaryCode(error) === SQLITE_FULL ? 'DISK_FULL' : 'STORE_UNUSABLE';
  return new VmbuildError(code, `${path} cannot be locked: ${errorMessage(error)}`, {
    cause: error,
    hints: ['See that the disk is not full and the folder writable, or choose another: VMBUILD_STORE=<folder>.'],
  });
}
