import { readImageLock } from '../images/lockFile.ts';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { artifactOf } from '../model/realisation.ts';
import type { LackingRoot } from '../store/repair/kept.ts';
import { partSources } from './assembleLockedImage.ts';
import type { Evaluator, Step } from './evaluate.ts';
import { topologicalOrder } from './graph.ts';
import { lockPath } from './images.ts';
import { checkPlan, planSteps } from './plan.ts';
import { createProvisioner, type Provisioner } from './provision.ts';
import type { RealiseOptions } from './realised.ts';
import { runPlan } from './runPlan.ts';
import { createSubstitution } from './substitution.ts';

/**
 * Makes again what a root lacks of what it keeps: steps are executed, sources fetched, images assembled. That can only be done
 * with the recipe as it was; no other result takes the place of what is lost.
 *
 * @throws VmbuildError that says why it cannot be done: RECIPE_* if there is no such recipe any more, STORE_DAMAGED if it says
 * something else by now, or what a step, a source or an image failed with.
 */
export async function restoreRoot(
  { root, lost }: LackingRoot,
  evaluator: Evaluator,
  options: Omit<RealiseOptions, 'rebuild'>,
): Promise<void> {
  const step = await evaluator.evaluate(root.target);
  if (step.hash !== root.derivation) throw otherRecipe(root.target, root.derivation);
  const substitution = createSubstitution(options.substitution, options);
  const known = await planSteps([step], options.store, substitution);
  // Of what others have built, only what was here is brought back; the rest may stay away.
  const wanted = known.filter(({ statement }) => statement !== undefined && lost.has(artifactOf(statement)));
  const targets = [step, ...wanted.map((planned) => planned.step)];
  const plan = await planSteps(targets, options.store, substitution);
  checkPlan(plan);
  // Nothing becomes a root by being repaired.
  await runPlan(plan, [], substitution, { ...options, rebuild: 'nothing' });
  await using provisioner = createProvisioner(options);
  for (const needed of topologicalOrder([step])) await provideLost(needed, lost, provisioner);
}

async function provideLost(step: Step, lost: ReadonlySet<Digest>, provisioner: Provisioner): Promise<void> {
  for (const source of Object.values(step.sources)) if (lost.has(source.digest)) await provisioner.source(source);
  if (lost.has(step.image.digest)) await provisioner.image(step.image);
  const lock = await readImageLock(lockPath(step.image.folder));
  const parts = partSources(lock).filter(({ digest }) => lost.has(digest));
  await Promise.all(parts.map((part) => provisioner.package(part)));
}

function otherRecipe(target: string, derivation: Digest): VmbuildError {
  return new VmbuildError(
    'STORE_DAMAGED',
    `the recipe of ${target} gives another derivation than ${derivation} by now`,
    {
      step: target,
      hints: [
        'With the recipes of that time (git checkout), run it again.',
        `If that result is not wanted any more: vmbuild root rm ${derivation}`,
      ],
    },
  );
}
