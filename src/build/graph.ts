import type { Digest } from '../model/digest.ts';
import type { Step } from './evaluate.ts';

/** Every step that the targets need, inputs before the steps that use them, each once. */
export function topologicalOrder(targets: readonly Step[]): readonly Step[] {
  const order = new Map<Digest, Step>();
  const visit = (step: Step): void => {
    if (order.has(step.hash)) return;
    for (const input of Object.values(step.inputs)) visit(input);
    order.set(step.hash, step);
  };
  for (const target of targets) visit(target);
  return [...order.values()];
}

/**
 * How urgent each step is: the time from its start to the end of the last target along the slowest way, given
 * how long each step took the last time. The step with the largest number goes first.
 */
export function criticalPath(order: readonly Step[], durationMs: (step: Step) => number): ReadonlyMap<Digest, number> {
  const urgency = new Map<Digest, number>();
  // Backwards: a step's users come before it.
  for (const step of order.toReversed()) {
    const own = (urgency.get(step.hash) ?? 0) + durationMs(step);
    urgency.set(step.hash, own);
    for (const input of Object.values(step.inputs)) {
      urgency.set(input.hash, Math.max(urgency.get(input.hash) ?? 0, own));
    }
  }
  return urgency;
}
