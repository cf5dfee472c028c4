import { findTree } from '../store/artifacts.ts';
import type { Store } from '../store/openStore.ts';
import { isNoted, noteRoot, type Root } from '../store/roots.ts';
import type { Digest } from '../model/digest.ts';
import { artifactOf } from '../model/realisation.ts';
import type { Step } from './evaluate.ts';
import { topologicalOrder } from './graph.ts';
import type { Plan } from './plan.ts';
import type { RealisedStep, RealiseOptions } from './realised.ts';

/**
 * Keeps results that were all found in the store; false if one has been collected since. This is what happens most often,
 * so it takes no lock and writes nothing where it need not: what is on record as the last result of its target is kept by
 * that.
 */
export async function keepReused(
  targets: readonly Step[],
  results: readonly RealisedStep[],
  { store, holdResults }: Pick<RealiseOptions, 'store' | 'holdResults'>,
): Promise<boolean> {
  const roots = rootsOf(targets, results);
  if (holdResults !== true && roots.every((root) => isNoted(store, root))) return true;
  const used = results.filter(({ how }) => how !== 'skipped');
  await store.pins.add(used.map(({ artifact }) => artifact));
  for (const { artifact } of used) if ((await findTree(store, artifact)) === undefined) return false;
  await noteRoots(roots, store);
  return true;
}

/** Keeps all that a plan names from being collected while it is carried out, whether or not it is in the store yet. */
export async function pinPlan(plan: Plan, { pins }: Store): Promise<void> {
  await pins.add(
    plan.flatMap(({ step, statement }) => [
      step.image.digest,
      ...Object.values(step.sources).map(({ digest }) => digest),
      ...(statement === undefined ? [] : [artifactOf(statement)]),
    ]),
  );
}

/** Notes the results of targets as roots; of targets that were not realised, what was finished of them. */
export async function keepResults(
  targets: readonly Step[],
  results: readonly RealisedStep[],
  store: Store,
): Promise<void> {
  await noteRoots(rootsOf(targets, results), store);
}

async function noteRoots(roots: readonly Omit<Root, 'at'>[], store: Store): Promise<void> {
  const at = new Date().toISOString();
  for (const root of roots) if (!isNoted(store, root)) await noteRoot(store, { ...root, at });
}

function rootsOf(targets: readonly Step[], results: readonly RealisedStep[]): readonly Omit<Root, 'at'>[] {
  const keys = new Map<Digest, Digest>(results.map(({ step, buildKey }) => [step.hash, buildKey]));
  return targets.flatMap((target): Omit<Root, 'at'>[] => {
    const steps = topologicalOrder([target]).flatMap(({ hash }) => keys.get(hash) ?? []);
    if (steps.length === 0) return [];
    const buildKey = keys.get(target.hash);
    return [
      {
        kind: buildKey === undefined ? 'attempt' : 'last',
        target: target.target,
        derivation: target.hash,
        buildKey,
        steps: [...new Set(steps)].sort(),
        outputsOnly: false,
      },
    ];
  });
}
