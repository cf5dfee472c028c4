import { VmbuildError } from '../model/errors.ts';
import type { Step } from './evaluate.ts';
import { topologicalOrder } from './graph.ts';

/** Which steps of a build graph are looked at. */
export interface StepChoice {
  /** How many levels of inputs below the targets; undefined: all. */
  readonly depth: number | undefined;
  /** Names of those that alone are; undefined: all. */
  readonly only: readonly string[] | undefined;
}

/**
 * The steps that are wanted, inputs first.
 *
 * @throws VmbuildError USAGE if `only` names what is none of them.
 */
export function chooseSteps(targets: readonly Step[], { depth = Infinity, only }: StepChoice): readonly Step[] {
  const levels = new Map<Step, number>();
  const visit = (step: Step, level: number): void => {
    if (level > depth || (levels.get(step) ?? Infinity) <= level) return;
    levels.set(step, level);
    for (const input of Object.values(step.inputs)) visit(input, level + 1);
  };
  for (const target of targets) visit(target, 0);
  const found = topologicalOrder(targets).filter((step) => levels.has(step));
  const unknown = only?.find((name) => !found.some(({ target }) => target === name));
  if (unknown !== undefined) {
    throw new VmbuildError('USAGE', `${unknown} is not a step of ${targets.map(({ target }) => target).join(', ')}`, {
      hints: [`There are: ${found.map(({ target }) => target).join(', ')}.`],
    });
  }
  return found.filter(({ target }) => only === undefined || only.includes(target));
}
