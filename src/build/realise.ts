import type { Realisation } from '../model/realisation.ts';
import type { Step } from './evaluate.ts';
import { checkBudgets, planSteps } from './plan.ts';
import { tellFinished, type RealisedStep, type RealiseOptions, reused } from './realised.ts';

/** Gives every step of the targets' build graphs its artifact, and returns all of them, inputs first. */
export async function realise(targets: readonly Step[], options: RealiseOptions): Promise<readonly RealisedStep[]> {
  const { store, emit } = options;
  const plan = await planSteps(targets, store);
  checkBudgets(plan);
  emit({ type: 'planned', steps: plan.map(({ step, decision }) => ({ target: step.target, decision })) });
  if (options.rebuild !== 'nothing' || plan.some(({ decision }) => decision !== 'reuse')) {
    // Loaded when something is to be done: most runs find everything in the store, and start faster without.
    const { runPlan } = await import('./runPlan.ts');
    return runPlan(plan, targets, options);
  }
  const results: RealisedStep[] = [];
  for (const planned of plan) {
    results.push(await tellFinished(reused(planned.step, planned.statement as Realisation, store), planned, options));
  }
  return results;
}
