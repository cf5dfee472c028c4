import { exists } from '../../io/files.ts';
import type { Digest } from '../../model/digest.ts';
import { findTree } from '../artifacts.ts';
import { graphOf, type RecordIndex } from '../gc/recordIndex.ts';
import { readImageRecord } from '../images.ts';
import type { Store } from '../openStore.ts';
import { readTargetRecord } from '../realisations.ts';
import { readSoundRoots, type Root } from '../roots.ts';
import { lostToQuarantine } from './quarantine.ts';

/** What the roots of a store keep. */
export interface KeptThings {
  /** Roots that can be read, and `guessed`. */
  readonly roots: readonly Root[];
  /** What roots were whose files are damaged, as far as other records tell; by the file's name. */
  readonly guessed: ReadonlyMap<string, Root>;
  /** Artifacts that must be there. */
  readonly digests: ReadonlySet<string>;
}

/** A root that lacks something of what it keeps. */
export interface LackingRoot {
  readonly root: Root;
  /** Build keys without a realisation; artifacts, sources and images that are gone. */
  readonly lost: ReadonlySet<Digest>;
}

/** Finds out what the roots keep, as far as damaged records let anybody know. */
export async function keptThings(store: Store, index: RecordIndex): Promise<KeptThings> {
  const { roots, damaged } = readSoundRoots(store);
  const guessed = new Map<string, Root>();
  for (const name of damaged) {
    const root = await guessRoot(store, name, index);
    if (root !== undefined) guessed.set(name, root);
  }
  const all = [...roots, ...guessed.values()];
  const digests = new Set<string>();
  for (const root of all) {
    // What a failed attempt has finished may go: the next attempt makes it again.
    if (root.kind === 'attempt') continue;
    for (const key of await keysOf(root, index)) {
      const facts = await index.find(key);
      if (facts === undefined) continue;
      const own = key === root.buildKey;
      if (own || !(await exists(store.layout.collected(facts.artifact)))) digests.add(facts.artifact);
    }
  }
  return { roots: all, guessed, digests };
}

async function guessRoot(store: Store, name: string, index: RecordIndex): Promise<Root | undefined> {
  const [, kind, what = ''] = /^(last|added)-(.+)\.json$/.exec(name) ?? [];
  const root = { outputsOnly: false, at: new Date().toISOString() };
  if (kind === 'last') {
    const built = (await readTargetRecord(store, what))?.built;
    if (built !== undefined) {
      return { ...root, kind, target: what, derivation: built.derivation, buildKey: built.buildKey };
    }
  }
  const [facts] = index
    .all()
    .filter(({ target, key }) => (kind === 'last' ? target : key) === what)
    .sort((a, b) => b.usedAt - a.usedAt);
  if (facts === undefined || (kind !== 'last' && kind !== 'added')) return undefined;
  return { ...root, kind, target: facts.target, derivation: facts.derivation, buildKey: facts.key };
}

/**
 * The roots that lack something. Sources and images count as lost if they lie in quarantine/ and nothing is in their
 * place (what was never fetched, or was collected, nobody misses), so that a repair which was cut off is finished by the
 * next one.
 *
 * @param going digests of what is about to be moved away.
 */
export async function lackingRoots(
  store: Store,
  index: RecordIndex,
  roots: readonly Root[],
  going: ReadonlySet<string> = new Set(),
): Promise<readonly LackingRoot[]> {
  const quarantined = await lostToQuarantine(store);
  const isGone = (digest: Digest): boolean => quarantined.has(digest) || going.has(digest);
  const lacking: LackingRoot[] = [];
  for (const root of roots) {
    if (root.kind === 'attempt') continue;
    const lost = new Set<Digest>();
    const images = new Set<Digest>();
    for (const key of await keysOf(root, index)) {
      const facts = going.has(key) ? undefined : await index.find(key);
      if (facts === undefined) {
        lost.add(key);
        continue;
      }
      const { artifact, image, inputs } = facts;
      const wanted = key === root.buildKey || !(await exists(store.layout.collected(artifact)));
      if (wanted && (going.has(artifact) || (await findTree(store, artifact)) === undefined)) lost.add(artifact);
      if (root.outputsOnly) continue;
      images.add(image);
      for (const digest of inputs) if (isGone(digest)) lost.add(digest);
    }
    for (const image of images) {
      if (isGone(image)) lost.add(image);
      const record = await readImageRecord(store, image);
      const sources = record === undefined || record === 'damaged' ? [] : record.sources;
      for (const source of sources) if (isGone(source)) lost.add(source);
    }
    if (lost.size > 0) lacking.push({ root, lost });
  }
  return lacking;
}

async function keysOf(root: Root, index: RecordIndex): Promise<readonly Digest[]> {
  if (root.buildKey === undefined) return root.steps ?? [];
  if (root.outputsOnly) return [root.buildKey];
  return root.steps ?? (await graphOf(index, root.buildKey));
}
