import type { Realisation } from '../model/realisation.ts';
import type { Step } from './evaluate.ts';
import { keepReused } from './keepResults.ts';
import { checkPlan, type PlannedStep, planSteps } from './plan.ts';
import { createSubstitution } from './substitution.ts';
import { tellFinished, type RealisedStep, type RealiseOptions, reused } from './realised.ts';

/** Gives every step of the targets' build graphs its artifact, and returns all of them, inputs first. */
export async function realise(targets: readonly Step[], options: RealiseOptions): Promise<readonly RealisedStep[]> {
  const { store, emit } = options;
  const substitution = createSubstitution(options.substitution, options);
  const plan = await planSteps(targets, store, substitution);
  checkPlan(plan);
  emit({ type: 'planned', steps: plan.map(({ step, decision }) => ({ target: step.target, decision })) });
  if (options.rebuild === 'nothing' && plan.every(({ decision }) => decision === 'reuse' || decision === 'skip')) {
    const results = plan.map(({ step, statement, decision }) =>
      reused(step, statement as Realisation, store, decision === 'skip' ? 'skipped' : 'reused'),
    );
    if (await keepReused(targets, results, options)) {
      const told: RealisedStep[] = [];
      for (const [index, result] of results.entries()) {
        told.push(await tellFinished(result, plan[index] as PlannedStep, substitution, options));
      }
      return told;
    }
  }
  // Loaded when something is to be done: most runs find everything in the store, and start faster without.
  const { runPlan } = await import('./runPlan.ts');
  return runPlan(plan, targets, substitution, options);
}
