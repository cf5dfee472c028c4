import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { acquireLock } from '../../io/lock.ts';
import { listTree } from '../../io/tree.ts';
import type { Digest } from '../../model/digest.ts';
import { explainSystemError, VmbuildError } from '../../model/errors.ts';
import type { Store } from '../openStore.ts';
import { readPins } from '../pins.ts';
import { readRealisation } from '../realisations.ts';
import { noteRoot, readSoundRoots, type Root } from '../roots.ts';
import type { KeptThings } from './kept.ts';
import { identityOf, moveAway } from './quarantine.ts';
import type { Repair } from './repairs.ts';

/** Milliseconds to wait in line for those who are just noting what they use. */
const PATIENCE = 500;

/** What became of a repair. `changed`: what was found is not there any more, or is another thing by now. */
export type Outcome = 'done' | 'changed' | 'in-use';

/** Told as each repair is done. */
type Tell = (repair: Repair, outcome: Outcome) => void;

/**
 * Does everything but making things again, while no collection runs and nobody begins to rely on anything. Whatever ends it
 * in between, nothing is lost: things are moved, one rename each, and the next repair goes on.
 *
 * @throws VmbuildError STORE_DAMAGED if the lock that this needs is itself damaged.
 */
export async function carryOut(
  store: Store,
  repairs: readonly Repair[],
  { kept, signal, tell }: { readonly kept: KeptThings; readonly signal: AbortSignal; readonly tell: Tell },
): Promise<void> {
  const { layout } = store;
  if (repairs.some(({ finding }) => finding.path === 'locks/gc')) {
    throw new VmbuildError('STORE_DAMAGED', `${layout.gcLock} is no lock, so nothing can be repaired beside others`, {
      hints: [`While no vmbuild runs: rm ${layout.gcLock}; then run this again.`],
    });
  }
  try {
    await using _lock = await acquireLock(layout.gcLock, { signal, patience: PATIENCE });
    const pinned = readPins(layout);
    const outcomes = new Map<string, Outcome>();
    for (const repair of repairs) {
      signal.throwIfAborted();
      const { path } = repair.finding;
      // Several things may be wrong with one, and are put right together.
      let outcome = outcomes.get(path);
      if (outcome === undefined && identityOf(store, path) !== repair.identity) outcome = 'changed';
      outcome ??= await repairOne(store, repair, kept, pinned);
      outcomes.set(path, outcome);
      tell(repair, outcome);
    }
  } catch (error) {
    throw explainSystemError(error, 'repairing the store');
  }
}

async function repairOne(
  store: Store,
  repair: Repair,
  kept: KeptThings,
  pinned: ReadonlySet<Digest>,
): Promise<Outcome> {
  const { finding, remedy, quarantine = '' } = repair;
  const place = join(store.layout.root, finding.path);
  const name = basename(finding.path);
  switch (remedy) {
    case 'move-away':
      // Who waits for a lock has pinned its digest; two must not wait for different files.
      if (finding.what === 'lock' && pinned.has(name.slice(-64) as Digest)) return 'in-use';
      if (finding.what === 'artifact' && !kept.digests.has(name)) noteCollected(store, name as Digest);
      await moveAway(store, finding.path, quarantine);
      if (finding.what === 'image') await moveAway(store, `${finding.path}.json`, `${quarantine}.json`);
      if (finding.what === 'root') await writeAnew(store, kept.guessed.get(name));
      break;
    case 'set-modes':
      if (finding.what === 'blob') chmodSync(place, 0o600);
      else if (finding.what === 'image') listTree(join(place, 'rootfs'), 'image', true);
      else listTree(place, 'artifact', true);
      break;
    case 'note-collected':
      noteCollected(store, name as Digest);
      break;
    case 'forget-steps':
      await forgetSteps(store, name);
      break;
    case 'make-again': // afterwards, without the lock
    case 'leave':
      break;
  }
  return 'done';
}

function noteCollected({ layout }: Store, digest: Digest): void {
  mkdirSync(dirname(layout.collected(digest)), { recursive: true });
  writeFileSync(layout.collected(digest), '');
}

async function writeAnew(store: Store, root: Root | undefined): Promise<void> {
  if (root !== undefined) await noteRoot(store, root);
}

/** Takes what is not on record any more out of what a failed attempt had finished. */
async function forgetSteps(store: Store, name: string): Promise<void> {
  const root = readSoundRoots(store).roots.find(({ kind, target }) => `${kind}-${target}.json` === name);
  if (root === undefined) return;
  const steps: Digest[] = [];
  for (const key of root.steps ?? []) if ((await readRealisation(store, key)) !== undefined) steps.push(key);
  if (steps.length > 0) await noteRoot(store, { ...root, steps });
  else rmSync(join(store.layout.roots, name), { force: true });
}
