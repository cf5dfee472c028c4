import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const POLL_MS = 100;
/** Whoever has a shared lock for itself has it for milliseconds. */
const SHARED_POLL_MS = 5;

/** How a lock is waited for. */
interface LockOptions {
  readonly signal: AbortSignal;
  /** Called once if somebody else has it. */
  readonly onWait?: () => void;
  /**
   * Milliseconds to block this thread while those that share the lock leave; nobody new may share it meanwhile. Without
   * it whoever wants the lock for itself may wait for ever behind many that share it in turn.
   */
  readonly patience?: number;
}

/**
 * Takes an exclusive lock that other processes (and other callers in this one) respect. SQLite holds it as a
 * kernel lock on `path`, so that it is free at once when its holder dies, however it dies. The empty file
 * stays: removing it would race with whoever is opening it.
 */
export async function acquireLock(path: string, options: LockOptions): Promise<AsyncDisposable> {
  makeFolderOf(path);
  let waiting = false;
  for (;;) {
    options.signal.throwIfAborted();
    const database = open(path, options.patience);
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

/** A lock that many may have at once, but nobody while somebody has it for itself (acquireLock). */
export interface SharedLock extends Disposable {
  /** Runs `work` at once as soon as nobody has the lock for itself, and keeps everybody from getting it meanwhile. */
  readonly run: <T>(work: () => T) => Promise<T>;
}

/** Opens a lock to share it. It is had for moments only: `work` is synchronous. */
export async function openSharedLock(path: string): Promise<SharedLock> {
  makeFolderOf(path);
  const database = open(path);
  const share = (): boolean => {
    try {
      database.exec('BEGIN; SELECT 1 FROM sqlite_schema');
      return true;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      if (primaryCode(error) !== SQLITE_BUSY) throw unusable(path, error);
      return false;
    }
  };
  return {
    run: async (work) => {
      while (!share()) await sleep(SHARED_POLL_MS);
      try {
        return work();
      } finally {
        database.exec('ROLLBACK');
      }
    },
    [Symbol.dispose]: () => database.close(),
  };
}

function makeFolderOf(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw unusable(path, explainSystemError(error, 'making its folder'));
  }
}

function open(path: string, timeout = 0): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout });
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
