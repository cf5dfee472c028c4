import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { exists, flush, removeTree, writeFileAtomic } from '../io/files.ts';
import { ownerPrefix } from '../io/owner.ts';
import { type Digest, isDigest } from '../model/digest.ts';
import { explainSystemError, systemErrorCode, unreadable, VmbuildError } from '../model/errors.ts';
import { isTargetName } from '../model/names.ts';
import type { StoreLayout } from './layout.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

/** Something that garbage collection keeps, with all that it was made of. */
export interface Root {
  /**
   * `last`: the last success of a target that somebody has asked for. `attempt`: what was finished of one that then
   * failed, until it succeeds. `added`: `vmbuild root add`.
   */
  readonly kind: 'last' | 'attempt' | 'added';
  readonly target: string;
  readonly derivation: Digest;
  /** Undefined for an attempt. */
  readonly buildKey?: Digest | undefined;
  /**
   * Build keys of every step of its build graph that has been realised, its own included, sorted. Undefined if nobody has
   * noted them; what is known of it then are the realisations.
   */
  readonly steps?: readonly Digest[] | undefined;
  /** Keep the artifact, and nothing that it was made of. */
  readonly outputsOnly: boolean;
  /** When it became a root, RFC 3339. */
  readonly at: string;
}

/** Members of the roots that were written before records had seals. */
const MEMBERS = ['kind', 'target', 'derivation', 'buildKey', 'steps', 'outputsOnly', 'at'];

/** What a store's roots are kept in. */
interface Rooted {
  readonly layout: StoreLayout;
}

/**
 * All roots of a store, those of `last/` if the store comes from a vmbuild that had no roots yet.
 *
 * @throws VmbuildError STORE_DAMAGED if one of them cannot be read: what it keeps is not known then.
 */
export function readRoots(store: Rooted): readonly Root[] {
  const { roots, damaged } = readSoundRoots(store);
  if (damaged[0] !== undefined) throw damagedRoot(store.layout, damaged[0]);
  return roots;
}

/** The roots that can be read, and the names of the files of those that cannot. */
export function readSoundRoots({ layout }: Rooted): {
  readonly roots: readonly Root[];
  readonly damaged: readonly string[];
} {
  const names = listNames(layout.roots);
  if (names === undefined) return { roots: rootsOfTargets(layout), damaged: [] };
  const read = names.map((name) => ({ name, root: readRoot(layout, name) }));
  return {
    roots: read.flatMap(({ root }) => root ?? []),
    damaged: read.flatMap(({ name, root }) => (root === undefined ? [name] : [])),
  };
}

/** The root in this text of a file in `roots/`; undefined if it is none, or one of another name. */
export function parseRoot(text: string, name: string): Root | undefined {
  const root = (unsealRecord(text, MEMBERS) ?? {}) as Partial<Root>;
  const valid =
    typeof root.target === 'string' &&
    isTargetName(root.target) &&
    isDigest(root.derivation) &&
    (isDigest(root.buildKey) || (root.kind === 'attempt' && root.steps !== undefined)) &&
    (root.steps === undefined || (Array.isArray(root.steps) && root.steps.every(isDigest))) &&
    typeof root.outputsOnly === 'boolean' &&
    typeof root.at === 'string' &&
    ['last', 'attempt', 'added'].includes(root.kind ?? '') &&
    rootName(root as Root) === name;
  return valid ? (root as Root) : undefined;
}

/** Name of a root's file. A target has one last result and one attempt; of what was added, each build key is a root. */
function rootName({ kind, target, buildKey }: Pick<Root, 'kind' | 'target' | 'buildKey'>): string {
  return `${kind}-${kind === 'added' ? buildKey : target}.json`;
}

/** True if this is on record already, made of the same steps, and no attempt after it has failed. */
export function isNoted({ layout }: Rooted, root: Omit<Root, 'at'>): boolean {
  const noted = readRoot(layout, rootName(root));
  return (
    noted?.buildKey === root.buildKey &&
    noted?.derivation === root.derivation &&
    noted.outputsOnly === root.outputsOnly &&
    noted.steps?.join() === root.steps?.join() &&
    !existsSync(attemptPath(layout, root))
  );
}

function readRoot(layout: StoreLayout, name: string): Root | undefined {
  return parseRoot(readText(join(layout.roots, name)), name);
}

function attemptPath(layout: StoreLayout, { target }: Pick<Root, 'target'>): string {
  return join(layout.roots, rootName({ kind: 'attempt', target }));
}

/**
 * Makes something a root, flushed. What it stands for must be pinned until this has returned. The result that it takes the
 * place of counts as used until now.
 */
export async function noteRoot(store: Rooted, root: Root): Promise<void> {
  const { layout } = store;
  const name = rootName(root);
  const before = readRoot(layout, name);
  try {
    await writeFileAtomic(join(layout.roots, name), sealRecord(root), join(layout.temporary, ownerPrefix()));
  } catch (error) {
    throw explainSystemError(error, 'noting a root');
  }
  if (before?.buildKey !== undefined && before.buildKey !== root.buildKey) noteUse(store, before.buildKey);
  // What a failed attempt had finished is among the steps of the success, or no longer wanted.
  if (root.kind === 'last') rmSync(attemptPath(layout, root), { force: true });
}

/** Forgets a root; what only it kept counts as used until now. */
export async function removeRoot(store: Rooted, root: Root): Promise<void> {
  try {
    rmSync(join(store.layout.roots, rootName(root)), { force: true });
    await flush(store.layout.roots);
  } catch (error) {
    throw explainSystemError(error, 'removing a root');
  }
  for (const key of root.buildKey === undefined ? (root.steps ?? []) : [root.buildKey]) noteUse(store, key);
}

/** A realisation is as old as its last use, which is when it ceased to be the result of something. */
function noteUse({ layout }: Rooted, key: Digest): void {
  const now = new Date();
  try {
    utimesSync(layout.realisation(key), now, now);
  } catch {
    // Gone, or somebody else's: it is then taken for older than it is.
  }
}

/**
 * Gives a store that has no `roots/` one, with the last success of every target in it: which of them somebody had asked
 * for was not on record. The folder appears at once and whole.
 */
export async function makeRoots(layout: StoreLayout): Promise<void> {
  if (await exists(layout.roots)) return;
  const roots = rootsOfTargets(layout);
  if (roots.length === 0) {
    mkdirSync(layout.roots, { recursive: true });
    return;
  }
  const staging = mkdtempSync(join(layout.temporary, `${ownerPrefix()}roots-`));
  try {
    chmodSync(staging, 0o755);
    for (const root of roots) {
      await writeFileAtomic(join(staging, rootName(root)), sealRecord(root));
    }
    renameSync(staging, layout.roots);
    await flush(layout.root);
  } catch (error) {
    await removeTree(staging);
    // Another process was faster.
    if (!(await exists(layout.roots))) throw error;
  }
}

/** A root for each target that has a success in `last/`, as vmbuild noted them before there were roots. */
function rootsOfTargets(layout: StoreLayout): readonly Root[] {
  return (listNames(join(layout.root, 'last')) ?? []).flatMap((name) => {
    const { target, built } =
      unsealRecord(readText(join(layout.root, 'last', name)), ['target', 'last', 'built']) ?? {};
    const { derivation, buildKey, at } = (built ?? {}) as Partial<Root>;
    const root = { kind: 'last', target, derivation, buildKey, outputsOnly: false, at };
    return parseRoot(JSON.stringify(root), `last-${name}`) ?? [];
  });
}

function listNames(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json') && !name.startsWith('.'));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw unreadable(folder, error);
  }
}

/** Empty if there is no such file. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw unreadable(path, error);
  }
}

function damagedRoot(layout: StoreLayout, name: string): VmbuildError {
  return new VmbuildError('STORE_DAMAGED', `the root ${join(layout.roots, name)} cannot be read`, {
    hints: ['vmbuild store check --repair moves it away; then realise its target again, or add the root again.'],
  });
}
