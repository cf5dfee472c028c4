import PQueue from 'p-queue';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Store } from '../store/openStore.ts';
import { noteRun } from '../store/realisations.ts';
import type { Step } from './evaluate.ts';
import { criticalPath } from './graph.ts';
import { checkBudget, keyDocument, type PlannedStep, planSteps } from './plan.ts';
import { createProvisioner, type Provisioner } from './provision.ts';
import type { RealisedStep, RealiseOptions } from './realised.ts';
import { realiseStep } from './realiseStep.ts';

/** Assumed for a step that this machine has never run: as long as a middling compile. */
const UNKNOWN_DURATION_MS = 120_000;

/**
 * Gives every step of the targets' build graphs its artifact, the longest way first, and returns all of them,
 * inputs before the steps that use them. After a failure no further step starts, but those that run may finish:
 * their work is kept.
 */
export async function realise(targets: readonly Step[], options: RealiseOptions): Promise<readonly RealisedStep[]> {
  const { store, emit, signal } = options;
  const plan = await planSteps(targets, store);
  emit({ type: 'planned', steps: plan.map(({ step, decision }) => ({ target: step.target, decision })) });

  const provisioner = createProvisioner(options);
  if (options.rebuild === 'nothing') prefetch(plan, provisioner);
  const durations = new Map(plan.map(({ step, lastBuilt }) => [step.hash, lastBuilt?.durationMs]));
  const urgency = criticalPath(
    plan.map(({ step }) => step),
    (step) => durations.get(step.hash) ?? UNKNOWN_DURATION_MS,
  );
  const queue = new PQueue({ concurrency: options.jobs });
  const running = new Map<Digest, Promise<RealisedStep>>();
  const finished: RealisedStep[] = [];
  let firstFailure: VmbuildError | undefined;
  const named = new Set(targets.map((step) => step.hash));

  const realiseOne = async (planned: PlannedStep): Promise<RealisedStep> => {
    const { step } = planned;
    const artifacts: Record<string, Digest> = {};
    // A place in the queue is only taken once the inputs are there, so waiting never blocks others.
    for (const [mount, input] of Object.entries(step.inputs)) {
      artifacts[mount] = (await (running.get(input.hash) as Promise<RealisedStep>)).artifact;
    }
    checkBudget(step, [...plan, ...finished]);
    const rebuild = options.rebuild === 'graph' || (options.rebuild === 'targets' && named.has(step.hash));
    const document = keyDocument(step, artifacts);
    const result = await realiseStep(step, document, {
      ...options,
      rebuild,
      provisioner,
      slot: (work) => {
        emit({ type: 'step-queued', target: step.target });
        return queue.add(
          async () => {
            if (firstFailure !== undefined) throw new NotStarted(step.target, firstFailure);
            return work();
          },
          { priority: urgency.get(step.hash) ?? 0, signal },
        );
      },
    });
    finished.push(result);
    if (result.how === 'reused' && planned.lastBuilt?.buildKey !== result.buildKey) await noteReuse(store, result);
    emit({
      type: 'step-finished',
      target: step.target,
      how: result.how,
      buildKey: result.buildKey,
      artifact: result.artifact,
      durationMs: result.durationMs,
    });
    return result;
  };

  for (const planned of plan) {
    const promise = realiseOne(planned).catch((error: unknown) => {
      if (!signal.aborted && error instanceof VmbuildError && !(error instanceof NotStarted)) {
        if (firstFailure === undefined || error.step === planned.step.target) {
          emit({ type: 'step-failed', target: planned.step.target, code: error.code, message: error.message });
        }
        firstFailure ??= error;
      }
      throw error;
    });
    promise.catch(() => {});
    running.set(planned.step.hash, promise);
  }
  const outcomes = await Promise.allSettled(running.values());
  signal.throwIfAborted();
  if (firstFailure !== undefined) throw firstFailure;
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** A step that was not begun because another had failed before. */
class NotStarted extends VmbuildError {
  constructor(target: string, failure: VmbuildError) {
    super(failure.code, `${target} was not started because ${failure.step ?? 'a step'} failed`, { cause: failure });
  }
}

/**
 * Gets what steps will need while others are still building. Steps that may yet turn out to be unchanged (early
 * cutoff) are only provided for if they never ran here, since then there is nothing to be cut off to.
 */
function prefetch(plan: readonly PlannedStep[], provisioner: Provisioner): void {
  for (const { step, decision, lastBuilt } of plan) {
    if (decision === 'reuse' || (decision === 'depends' && lastBuilt !== undefined)) continue;
    for (const source of Object.values(step.sources)) void provisioner.source(source);
    void provisioner.image(step.image);
  }
}

/** A target whose recipe went back to an older state has that older result as its last one again. */
async function noteReuse(store: Store, { step, buildKey, durationMs }: RealisedStep): Promise<void> {
  const run = { derivation: step.hash, buildKey, at: new Date().toISOString(), durationMs };
  await noteRun(store, step.target, 'built', run);
}
