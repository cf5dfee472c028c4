import { VmbuildError } from '../../model/errors.ts';
import { kindOfPath, REFRESH_MS, SIGNERS_PATH } from '../../substituters/layout.ts';
import type { ListedObject, ObjectStore } from '../../substituters/objectStore.ts';
import type { Step } from '../evaluate.ts';
import { namedBy, readEnvelopesAt, realisationIn } from './contents.ts';
import { pathsOf } from './pathsOf.ts';

/** A push may take this long from the first look at an object to the statement that names it. */
const LONGEST_PUSH_MS = 24 * 3600 * 1000;

/** The shortest time that objects must be spared for while somebody may be pushing. */
export const SHORTEST_GRACE_MS = REFRESH_MS + LONGEST_PUSH_MS;

/** How a cache is collected. */
export interface CollectOptions {
  /** Keep only what these need; with none, whatever a statement names, and all sources. */
  readonly targets: readonly Step[];
  /** What was written within this time stays. Milliseconds. */
  readonly graceMs: number;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly onRemoved: (path: string, size: number) => void;
}

/** What was removed, or would be. */
export interface CollectSummary {
  readonly removed: number;
  readonly bytes: number;
  readonly kept: number;
}

/**
 * Removes from a cache what nobody needs any more: artifacts that no statement names, uploads that never ended, and, if targets
 * are given, sources and statements that are about anything else. Whatever was written within the grace period stays. Statements go before what they
 * name; so a reader never finds one whose artifact this has taken. A push writes again what it relies on and is old, so
 * both may run at once.
 *
 * @throws VmbuildError USAGE if the cache cannot list or remove; CACHE_UNUSABLE if a statement cannot be read, because then it
 * is not known what it names.
 */
export async function collectCache(cache: ObjectStore, options: CollectOptions): Promise<CollectSummary> {
  const { collect, list } = cache;
  if (collect === undefined || list === undefined) {
    throw new VmbuildError('USAGE', `${cache.where} can neither list nor remove what it has; nothing was removed`, {
      hints: [
        cache.where.startsWith('oci:')
          ? 'Let the registry do it: remove tags, or the whole repository, with its own tools, and push again what is wanted.'
          : 'Collect it on the machine where its folder lies: vmbuild cache gc file:///…',
      ],
    });
  }
  const before = Date.now() - options.graceMs;
  const wanted = options.targets.length === 0 ? undefined : new Set(await pathsOf(options.targets, cache));
  const all: ListedObject[] = [];
  for await (const object of list()) all.push(object);
  const named = new Set<string>();
  const statements: ListedObject[] = [];
  for (const object of all) {
    options.signal.throwIfAborted();
    if (kindOfPath(object.path) !== 'changing' || object.path === SIGNERS_PATH) continue;
    if (wanted !== undefined && !wanted.has(object.path) && object.writtenAt < before) statements.push(object);
    else for (const path of await readNamed(cache, object.path)) named.add(path);
  }
  const isNeeded = (path: string): boolean =>
    // No statement names the packages of an image; only the recipes tell which they are.
    named.has(path) || (wanted === undefined ? path.startsWith('sources/') : wanted.has(path));
  const objects = all.filter(
    ({ path, writtenAt }) =>
      writtenAt < before && (path.endsWith('.tmp') || (kindOfPath(path) === 'immutable' && !isNeeded(path))),
  );
  let [removed, bytes] = [0, 0];
  for (const { path, size } of [...statements, ...objects]) {
    options.signal.throwIfAborted();
    // It looks at the time again: somebody may have written it meanwhile, because he relies on it.
    if (!options.dryRun && !(await collect(path, before))) continue;
    removed += 1;
    bytes += size;
    options.onRemoved(path, size);
  }
  return { removed, bytes, kept: all.length - removed };
}

async function readNamed(cache: ObjectStore, path: string): Promise<readonly string[]> {
  try {
    return (await readEnvelopesAt(cache, path)).flatMap((envelope) => {
      const statement = realisationIn(envelope);
      if (statement === undefined) return [];
      const { artifact, inputs } = namedBy(statement);
      return [artifact, ...inputs];
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new VmbuildError('CACHE_UNUSABLE', `nothing was removed from ${cache.where}: ${path}: ${error.message}`, {
      hints: ['vmbuild cache check names all that is damaged; remove that file, and the next push writes it anew.'],
    });
  }
}
