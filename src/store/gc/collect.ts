import { existsSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listNames, removeTree, temporaryFolder } from '../../io/files.ts';
import { acquireLock } from '../../io/lock.ts';
import { type Digest, isDigest } from '../../model/digest.ts';
import { explainSystemError, systemErrorCode } from '../../model/errors.ts';
import { type Store, scratchPrefix } from '../openStore.ts';
import { lastUses } from './ages.ts';
import { diskUsage, findGarbage, type Garbage } from './garbage.ts';
import { type Live, markLive } from './live.ts';
import { markCollected } from '../artifacts.ts';
import { indexRecords, type RecordIndex } from './recordIndex.ts';

/** What to collect of what nothing needs. */
export interface CollectOptions {
  /** Only say what would be collected. */
  readonly dryRun: boolean;
  /** Let every root keep its artifact only, and not what it was made of. */
  readonly outputsOnly: boolean;
  /** Stop as soon as the store takes no more than so many bytes; what was not used for longest goes first. */
  readonly maxSize?: number | undefined;
  /** Leave what was used within so many milliseconds. */
  readonly olderThan?: number | undefined;
  readonly signal: AbortSignal;
  /** The time to reckon ages from, milliseconds since 1970. */
  readonly now?: number | undefined;
}

/** What a collection did, or would do. */
export interface Collection {
  /** What went, the oldest first. */
  readonly collected: readonly Garbage[];
  /** Bytes on disk that this freed. */
  readonly freed: number;
  /** Bytes on disk that the store takes afterwards; only known if a size was asked for. */
  readonly size?: number | undefined;
  /** Images of which it is not known what they were made of; every source that is a file was kept because of them. */
  readonly unknownImages: readonly Digest[];
}

/** Things that are moved away before others get a chance to use the store again. */
const BATCH = 256;

/** Milliseconds to wait in line for those who are just noting what they use. */
const PATIENCE = 500;

/**
 * Removes what nothing needs: what no root keeps and no running process has pinned. Safe beside builds and other
 * collections, in however many processes: what is dead is moved to tmp/ in an instant while nobody may begin to rely on
 * anything, and deleted afterwards. Whatever ends it in between, the store is whole; the next vmbuild sweeps tmp/.
 *
 * @throws VmbuildError STORE_DAMAGED, before anything is removed, if it is not known what a root keeps.
 */
export async function collectGarbage(store: Store, options: CollectOptions): Promise<Collection> {
  const { signal, outputsOnly } = options;
  try {
    const index = await indexRecords(store);
    const live = await markLive(store, index, { outputsOnly, thorough: true });
    const garbage = await findGarbage(store, live, lastUses(index));
    const sizeBefore = options.maxSize === undefined ? undefined : diskUsage(store.layout.root);
    const chosen = choose(garbage, sizeBefore, options);
    const collected = options.dryRun ? chosen : await remove(store, index, chosen, options);
    signal.throwIfAborted();
    const freed = collected.reduce((sum, { size }) => sum + size, 0);
    const size = sizeBefore === undefined ? undefined : sizeBefore - freed;
    return { collected, freed, size, unknownImages: live.unknownImages };
  } catch (error) {
    throw explainSystemError(error, 'collecting garbage');
  }
}

function choose(
  garbage: readonly Garbage[],
  sizeBefore: number | undefined,
  { maxSize, olderThan, now = Date.now() }: CollectOptions,
): readonly Garbage[] {
  const old = garbage
    .filter(({ usedAt }) => olderThan === undefined || usedAt <= now - olderThan)
    .toSorted((a, b) => a.usedAt - b.usedAt);
  if (sizeBefore === undefined || maxSize === undefined) return old;
  let size = sizeBefore;
  return old.filter((item) => {
    if (size <= maxSize) return false;
    size -= item.size;
    return true;
  });
}

/** Removes what is still dead of the chosen things, and returns it. */
async function remove(
  store: Store,
  index: RecordIndex,
  chosen: readonly Garbage[],
  { outputsOnly, signal }: CollectOptions,
): Promise<readonly Garbage[]> {
  const removed: Garbage[] = [];
  await using trash = await temporaryFolder(store.layout.temporary, `${scratchPrefix()}gc-`);
  for (let next = 0; next === 0 || next < chosen.length; next += BATCH) {
    {
      await using _lock = await acquireLock(store.layout.gcLock, { signal, patience: PATIENCE });
      const live = await markLive(store, index, { outputsOnly, thorough: false });
      for (const item of chosen.slice(next, next + BATCH))
        if (moveAway(store, live, item, join(trash.path, String(removed.length)))) removed.push(item);
      if (next === 0) tidy(store, live);
    }
    for (const name of listNames(trash.path)) {
      await removeTree(join(trash.path, name));
      if (signal.aborted) return removed;
    }
  }
  return removed;
}

/** Moves something that is dead to `trash`; false if it is live by now, or gone. */
function moveAway(store: Store, live: Live, item: Garbage, trash: string): boolean {
  const { layout } = store;
  const { kind, name, path, usedAt } = item;
  if (kind !== 'failed' && kind !== 'quarantine' && live.digests.has(name)) return false;
  if (kind === 'source' && live.unknownImages.length > 0) return false;
  const place = join(layout.root, path);
  // What was written anew belongs to a run of this moment.
  if (
    (kind === 'log' || kind === 'verification') &&
    (lstatSync(place, { throwIfNoEntry: false })?.ctimeMs ?? 0) > usedAt
  )
    return false;
  if (kind === 'artifact') {
    // First: a check takes an artifact that is on record, and not here for no reason, for lost.
    markCollected(store, name as Digest);
  }
  try {
    renameSync(place, trash);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false; // another collection was faster
    throw error;
  }
  if (kind === 'image') rmSync(layout.imageRecord(name as Digest), { force: true });
  return true;
}

/** Removes small things that have lost their meaning: locks that nobody uses, notes about what is not there. */
function tidy({ layout }: Store, live: Live): void {
  for (const name of listNames(join(layout.root, 'locks'))) {
    // Whoever is going to take a lock has pinned its digest before.
    const digest = /^(?:build|source|image)-([0-9a-f]{64})$/.exec(name)?.[1];
    if (digest !== undefined && !live.digests.has(digest)) rmSync(join(layout.root, 'locks', name), { force: true });
  }
  for (const name of listNames(join(layout.root, 'collected')))
    if (isDigest(name) && existsSync(layout.tree(name))) rmSync(layout.collected(name), { force: true });
  for (const name of listNames(join(layout.root, 'images'))) {
    const digest = name.replace(/\.json$/, '');
    if (name.endsWith('.json') && isDigest(digest) && !live.digests.has(digest) && !existsSync(layout.image(digest)))
      rmSync(layout.imageRecord(digest), { force: true });
  }
}
