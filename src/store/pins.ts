import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listNames } from '../io/files.ts';
import type { SharedLock } from '../io/lock.ts';
import { isOwnerAlive, ownerPrefix } from '../io/owner.ts';
import { type Digest, isDigest } from '../model/digest.ts';
import { explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { StoreLayout } from './layout.ts';

/**
 * What this process relies on, so that no garbage collection takes it away: digests of artifacts, sources and images,
 * and build keys.
 *
 * The rule, for everything that somebody is going to use or to put into the store: first pin its digest, then see whether
 * it is there. A collection holds the lock `locks/gc` for itself while it reads the pins of all processes and moves
 * what is dead out of the way, and a pin is written while sharing that lock. So either the collection sees the pin, or
 * whoever pins sees that the thing is gone.
 */
export interface Pins extends Disposable {
  /** Pins digests until the pins are disposed of, or the process ends. */
  readonly add: (digests: Iterable<Digest>) => Promise<void>;
}

/** The pins of somebody who only looks. */
export const noPins: Pins = {
  add: () => Promise.reject(new VmbuildError('INTERNAL', 'a store that was opened for reading was to be relied on')),
  [Symbol.dispose]: () => {},
};

let opened = 0;

/** Makes pins. Nothing is written before the first digest. */
export function openPins(layout: StoreLayout): Pins {
  opened += 1;
  const path = join(layout.running, `${ownerPrefix()}${opened}`);
  const pinned = new Set<Digest>();
  let lock: Promise<SharedLock> | undefined;
  return {
    add: async (digests) => {
      const fresh = [...digests].filter((digest) => !pinned.has(digest));
      if (fresh.length === 0) return;
      try {
        // Loaded only by those that rely on something: looking things up starts faster without.
        lock ??= import('../io/lock.ts').then(({ openSharedLock }) => openSharedLock(layout.gcLock));
        const { run } = await lock;
        // A line may have been cut off by a full disk: begin with a new one.
        await run(() => appendFileSync(path, `\n${fresh.join('\n')}\n`));
      } catch (error) {
        throw explainSystemError(error, 'noting what is in use');
      }
      for (const digest of fresh) pinned.add(digest);
      remove.add(path);
    },
    [Symbol.dispose]: () => {
      removePins(path);
      pinned.clear();
      lock?.then(
        (shared) => shared[Symbol.dispose](),
        () => {},
      );
      lock = undefined;
    },
  };
}

/** Files of this process that are to go when it ends; what is left by one that was killed counts for nothing. */
const remove = new Set<string>();

process.on('exit', () => {
  for (const path of remove) removePins(path);
});

function removePins(path: string): void {
  remove.delete(path);
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder is gone, or belongs to somebody else by now; dead pins do no harm.
  }
}

/** What the processes that are alive have pinned. Only true while the lock `locks/gc` is held. */
export function readPins(layout: StoreLayout): ReadonlySet<Digest> {
  const pinned = new Set<Digest>();
  for (const name of listNames(layout.running)) {
    if (!isOwnerAlive(name)) continue;
    for (const line of readLines(join(layout.running, name))) if (isDigest(line)) pinned.add(line);
  }
  return pinned;
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []; // its process has just ended
    throw error;
  }
}
