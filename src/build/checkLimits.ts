import type { Executor } from '../executors/executor.ts';
import { VmbuildError } from '../model/errors.ts';
import {
  formatLimit,
  type LimitChanges,
  type LimitName,
  type Limits,
  LIMIT_NAMES,
  stepLimits,
} from '../model/limits.ts';
import type { Step } from './evaluate.ts';
import type { Emit } from './events.ts';
import type { Plan } from './plan.ts';

/** The limits that vmbuild keeps itself, whatever the executor: nobody needs to be asked. */
const OUR_OWN: readonly LimitName[] = ['wall', 'silence', 'log', 'output'];

/**
 * Checks before anything runs that the executor keeps what the recipes of a plan require, and tells of what was asked for by
 * a flag and is not kept.
 *
 * @throws VmbuildError LIMIT_UNENFORCEABLE
 */
export async function checkPlanLimits(
  plan: Plan,
  executor: Executor,
  { limits = {}, emit }: { readonly limits?: LimitChanges | undefined; readonly emit: Emit },
): Promise<void> {
  for (const { step, decision } of plan) if (decision === 'build') await checkedLimits(step, executor, limits);
  const wished = LIMIT_NAMES.filter((name) => typeof limits[name] === 'number' && !OUR_OWN.includes(name));
  if (wished.length === 0) return;
  const table = await executor.limits();
  for (const limit of wished) {
    const { kept, how } = table[limit];
    if (kept === 'no') emit({ type: 'limit-not-kept', limit, executor: executor.name, reason: how });
  }
}

/**
 * The limits of a step.
 *
 * @throws VmbuildError LIMIT_UNENFORCEABLE if its recipe requires one that the executor cannot keep.
 */
export async function checkedLimits(step: Step, executor: Executor, flags: LimitChanges = {}): Promise<Limits> {
  const { limits, required } = stepLimits(step.limits, flags);
  const doubtful = required.filter((name) => !OUR_OWN.includes(name));
  if (doubtful.length === 0) return limits;
  const table = await executor.limits();
  for (const name of doubtful) {
    if (table[name].kept !== 'no') continue;
    const limit = `${name}=${formatLimit(name, limits[name] ?? 0)}`;
    throw new VmbuildError(
      'LIMIT_UNENFORCEABLE',
      `${step.target} requires the limit ${limit}, which the executor ${executor.name} cannot keep: ${table[name].how}`,
      {
        step: step.target,
        hints: [
          '`vmbuild doctor` shows which limits each executor keeps here; --executor chooses another.',
          `To build it without: --limit ${name}=none.`,
        ],
      },
    );
  }
  return limits;
}
