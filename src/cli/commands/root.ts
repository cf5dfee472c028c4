import { type Digest, isDigest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf } from '../../model/realisation.ts';
import { claimTree, findTree } from '../../store/artifacts.ts';
import { graphOf, indexRecords } from '../../store/gc/recordIndex.ts';
import { openStore, type Store } from '../../store/openStore.ts';
import { readRealisation } from '../../store/realisations.ts';
import { noteRoot, readRoots, removeRoot, type Root } from '../../store/roots.ts';
import { openContext } from '../context.ts';
import { formatCount, formatSpan, formatTable } from '../format.ts';
import { type GlobalOptions, storeFolder } from '../settings.ts';

/** `vmbuild root ls`: what garbage collection keeps, for how long it has been kept, and whether a recipe still makes it. */
export async function rootLs(options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const { project, store } = await openContext(options, 'read');
  const targets = new Set(await project.targets());
  const rows: (Root & { readonly state: string })[] = [];
  for (const root of readRoots(store)) {
    const state = [await stateOf(store, root), ...(targets.has(root.target) ? [] : ['no recipe'])].join(', ');
    rows.push({ ...root, state });
  }
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const table = rows.map(({ kind, target, buildKey, outputsOnly, at, state }) => [
    kind,
    target,
    buildKey?.slice(0, 12) ?? '',
    outputsOnly ? 'outputs only' : 'whole graph',
    `for ${formatSpan(Date.now() - Date.parse(at))}`,
    state,
  ]);
  process.stdout.write(formatTable(table));
}

async function stateOf(store: Store, { buildKey, steps = [] }: Root): Promise<string> {
  if (buildKey === undefined) return `${formatCount(steps.length, 'step')} finished`;
  const statement = await readRealisation(store, buildKey);
  if (statement === undefined) return 'its realisation is missing';
  return (await findTree(store, artifactOf(statement))) === undefined ? 'its artifact is missing' : 'in store';
}

/** `vmbuild root add`: keeps a result, whatever becomes of its target. */
export async function rootAdd(
  what: string,
  options: GlobalOptions & { readonly outputsOnly?: boolean },
): Promise<void> {
  const { store, root } = isDigest(what) ? await recorded(what, options) : await realised(what, options);
  // Pinned, and then looked for: from here on no collection takes it away.
  const statement = await readRealisation(store, root.buildKey);
  if (statement === undefined || (await claimTree(store, artifactOf(statement))) === undefined)
    throw notHere(what, store);
  await noteRoot(store, {
    ...root,
    kind: 'added',
    outputsOnly: options.outputsOnly === true,
    at: new Date().toISOString(),
  });
  process.stdout.write(`${root.target}  ${artifactOf(statement)} is kept (build key ${root.buildKey})\n`);
}

type Found = {
  readonly store: Store;
  readonly root: Pick<Root, 'target' | 'derivation' | 'steps'> & { buildKey: Digest };
};

/** What a target's recipe gives today. */
async function realised(target: string, options: GlobalOptions): Promise<Found> {
  const { evaluator, store, plan: planOf } = await openContext(options, 'write');
  const step = await evaluator.evaluate(target);
  const plan = await planOf([step]);
  const buildKey = plan.find((planned) => planned.step === step)?.buildKey;
  const steps = plan.flatMap((planned) => (planned.statement === undefined ? [] : (planned.buildKey ?? [])));
  if (buildKey === undefined || steps.length < plan.length) throw notHere(target, store);
  return { store, root: { target, derivation: step.hash, buildKey, steps: [...new Set(steps)].sort() } };
}

/** What the store has on record for a build key, or made last of a derivation. */
async function recorded(digest: Digest, options: GlobalOptions): Promise<Found> {
  const store = await openStore(await storeFolder(options));
  const index = await indexRecords(store);
  const [record] = index
    .all()
    .filter(({ key, derivation }) => key === digest || derivation === digest)
    .sort((a, b) => b.usedAt - a.usedAt);
  if (record === undefined) throw notHere(digest, store);
  const { key, target, derivation } = record;
  // Another root may know better than what can be guessed from realisations.
  const noted = readRoots(store).find((root) => root.buildKey === key)?.steps;
  const steps = noted ?? (await graphOf(index, key));
  return { store, root: { target, derivation, buildKey: key, steps: [...steps].sort() } };
}

/** `vmbuild root rm`: forgets the roots of a target, or one result by its derivation hash or build key. */
export async function rootRm(what: string, options: GlobalOptions): Promise<void> {
  const store = await openStore(await storeFolder(options));
  const roots = readRoots(store).filter(({ target, derivation, buildKey }) =>
    isDigest(what) ? what === derivation || what === buildKey : what === target,
  );
  if (roots.length === 0) {
    throw new VmbuildError('RECIPE_NOT_FOUND', `nothing that is called ${what} is a root of ${store.layout.root}`, {
      hints: ['vmbuild root ls shows all roots.'],
    });
  }
  for (const root of roots) {
    await removeRoot(store, root);
    process.stdout.write(`${root.kind}  ${root.target}  ${root.buildKey ?? ''} is no root any more\n`);
  }
}

function notHere(what: string, { layout }: Store): VmbuildError {
  return new VmbuildError('NOT_REALISED', `the store ${layout.root} has no result of ${what}`, {
    hints: isDigest(what) ? ['vmbuild show <target> shows its derivation and build key.'] : [`vmbuild realize ${what}`],
  });
}
