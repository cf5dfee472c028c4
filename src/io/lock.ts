import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const SQLITE_BUSY = 5;
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
  await mkdir(dirname(path), { recursive: true });
  let waiting = false;
  for (;;) {
    options.signal.throwIfAborted();
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      // Nothing is ever written, so no journal is made; the transaction is the lock.
      database.exec('BEGIN EXCLUSIVE');
      return {
        [Symbol.asyncDispose]: async () => {
          database.exec('ROLLBACK');
          database.close();
        },
      };
    } catch (error) {
      database.close();
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    }
    if (!waiting) options.onWait?.();
    waiting = true;
    await sleep(POLL_MS, undefined, { signal: options.signal });
  }
}
