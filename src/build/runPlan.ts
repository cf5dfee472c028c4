import PQueue from 'p-queue';
import type { Digest } from '../model/digest.ts';
import { errorMessage, explainSystemError, VmbuildError } from '../model/errors.ts';
import { checkPlanLimits } from './checkLimits.ts';
import type { Step } from './evaluate.ts';
import { criticalPath } from './graph.ts';
import { keepResults, pinPlan } from './keepResults.ts';
import { checkBudget, keyDocument, type Plan, type PlannedStep } from './plan.ts';
import { createProvisioner, type Provisioner } from './provision.ts';
import { tellFinished, type RealisedStep, type RealiseOptions } from './realised.ts';
import { realiseStep } from './realiseStep.ts';
import { notSubstituted } from './stepErrors.ts';
import type { Substitution } from './substitution.ts';

/** Assumed for a step that this machine has never run: as long as a middling compile. */
const UNKNOWN_DURATION_MS = 120_000;

/** Outputs that are hashed and flushed at once: a few share what the disk takes long for, many would only crowd it. */
const FINISHING = 4;

const REPORT = 'This is a defect in vmbuild. Please report it with the output of VMBUILD_DEBUG=1 vmbuild …';

/**
 * Gives every step of a plan its artifact, the longest way first, and returns all of them, inputs before the steps that
 * use them. After a failure no further step starts, but those that run may finish: their work is kept.
 */
export async function runPlan(
  plan: Plan,
  targets: readonly Step[],
  substitution: Substitution,
  options: RealiseOptions,
): Promise<readonly RealisedStep[]> {
  const { store, emit, signal } = options;
  const { caches, only } = substitution.settings;
  if (only) refuseBuilding(plan);
  await pinPlan(plan, store);
  // Now, and not when the first step has its inputs: nobody wants to hear after an hour of downloads that nothing can run.
  if (options.rebuild !== 'nothing' || plan.some(({ decision }) => decision === 'build')) {
    await checkPlanLimits(plan, await options.executor(), options);
  }

  await using provisioner = createProvisioner({ ...options, caches });
  if (options.rebuild === 'nothing') prefetch(plan, provisioner, caches.length > 0);
  const durations = new Map(plan.map(({ step, lastBuilt }) => [step.hash, lastBuilt?.durationMs]));
  const urgency = criticalPath(
    plan.map(({ step }) => step),
    (step) => durations.get(step.hash) ?? UNKNOWN_DURATION_MS,
  );
  const urgent = (planned: PlannedStep): number => urgency.get(planned.step.hash) ?? 0;
  const executing = new PQueue({ concurrency: options.jobs });
  const finishing = new PQueue({ concurrency: FINISHING });
  const running = new Map<Digest, Promise<RealisedStep>>();
  /** The same of those whose artifacts must be in the store. */
  const present = new Map<Digest, Promise<RealisedStep>>();
  const finished: RealisedStep[] = [];
  let firstFailure: VmbuildError | undefined;
  const named = new Set(targets.map((step) => step.hash));

  const ordered = new Map(plan.map((planned) => [planned.step.hash, planned]));
  /** Sees to it that the artifact of a step is in the store, once somebody needs it. */
  const bringHere = (step: Step): Promise<RealisedStep> => {
    let promise = present.get(step.hash);
    if (promise === undefined) {
      promise = (running.get(step.hash) as Promise<RealisedStep>).then((result) =>
        result.how === 'skipped' ? attempt(ordered.get(step.hash) as PlannedStep, true) : result,
      );
      promise.catch(() => {});
      present.set(step.hash, promise);
    }
    return promise;
  };

  const realiseOne = async (planned: PlannedStep, needed: boolean): Promise<RealisedStep> => {
    const { step } = planned;
    const artifacts: Record<string, Digest> = {};
    // A place in the queue is only taken once the inputs are there, so waiting never blocks others.
    for (const [mount, input] of Object.entries(step.inputs)) {
      artifacts[mount] = (await inputOf(step, running.get(input.hash) as Promise<RealisedStep>)).artifact;
    }
    checkBudget(step, [...plan, ...finished]);
    const rebuild = options.rebuild === 'graph' || (options.rebuild === 'targets' && named.has(step.hash));
    const document = keyDocument(step, artifacts);
    const result = await realiseStep(step, document, {
      ...options,
      rebuild,
      missing: planned.decision === 'build',
      needed,
      substitution,
      bringHere: (input) => inputOf(step, bringHere(input)),
      provisioner,
      executing: (work) => {
        emit({ type: 'step-queued', target: step.target });
        return executing.add(
          async () => {
            signal.throwIfAborted();
            if (firstFailure !== undefined) throw new NotStarted(step.target, firstFailure);
            try {
              const result = await work();
              // Where outputs come faster than the disk takes them, the next execution waits.
              await finishing.onSizeLessThan(1);
              return result;
            } catch (error) {
              // Noted before the queue goes on to its next step.
              if (!signal.aborted) firstFailure ??= ofStep(step.target, error);
              throw error;
            }
          },
          // Not with the signal: the queue would give up a step that is still being ended and cleaned up.
          { priority: urgent(planned) },
        );
      },
      finishing: (work) => finishing.add(work),
    });
    finished.push(result);
    return tellFinished(result, planned, substitution, options);
  };

  const attempt = (planned: PlannedStep, needed: boolean): Promise<RealisedStep> =>
    realiseOne(planned, needed).catch((thrown: unknown) => {
      if (signal.aborted || thrown instanceof NotStarted) throw thrown;
      const { target } = planned.step;
      const error = ofStep(target, thrown);
      emit({ type: 'step-failed', target, code: error.code, message: error.message });
      firstFailure ??= error;
      throw error;
    });

  // The first to ask is the first to run, whatever the others' priority. Inputs are never less urgent than their users.
  for (const planned of plan.toSorted((a, b) => urgent(b) - urgent(a))) {
    const promise = attempt(planned, planned.decision === 'fetch' || named.has(planned.step.hash));
    promise.catch(() => {});
    running.set(planned.step.hash, promise);
  }
  await Promise.allSettled(running.values());
  // What was skipped at first may have been needed after all.
  const outcomes = await Promise.allSettled(
    plan.map(({ step }) => (present.get(step.hash) ?? running.get(step.hash)) as Promise<RealisedStep>),
  );
  await keepResults(targets, finished, store).catch((error: unknown) => {
    // Why it failed matters more.
    if (!signal.aborted && firstFailure === undefined) throw error;
  });
  signal.throwIfAborted();
  if (firstFailure !== undefined) throw firstFailure;
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** @throws VmbuildError NOT_SUBSTITUTED if something would have to be built. */
function refuseBuilding(plan: Plan): void {
  const missing = plan.filter(({ decision }) => decision === 'build' || decision === 'depends');
  const [first] = missing;
  if (first !== undefined) throw notSubstituted(first.step.target, missing.length - 1);
}

async function inputOf(step: Step, input: Promise<RealisedStep>): Promise<RealisedStep> {
  try {
    return await input;
  } catch (error) {
    throw error instanceof VmbuildError ? new NotStarted(step.target, error) : error;
  }
}

/** Every failure says which step it was, those of the store, of sources and of images as well. */
function ofStep(target: string, thrown: unknown): VmbuildError {
  const error = explainSystemError(thrown, `building ${target}`);
  if (error instanceof VmbuildError && error.step === target) return error;
  const { code, hints, log, excerpt } =
    error instanceof VmbuildError
      ? error
      : { code: 'INTERNAL' as const, hints: [REPORT], log: undefined, excerpt: undefined };
  return new VmbuildError(code, errorMessage(error), { step: target, hints, log, excerpt, cause: error });
}

/** A step that was not begun because another had failed before. */
class NotStarted extends VmbuildError {
  constructor(target: string, failure: VmbuildError) {
    super(failure.code, `${target} was not started because ${failure.step ?? 'a step'} failed`, { cause: failure });
  }
}

/**
 * Gets what steps will need while others are still building. Steps that may yet turn out to be unchanged (early
 * cutoff) are only provided for if they never ran here, and no cache can have them: then there is nothing to be cut off to.
 */
function prefetch(plan: Plan, provisioner: Provisioner, canFetch: boolean): void {
  for (const { step, decision, lastBuilt } of plan) {
    const expected = decision === 'depends' && lastBuilt === undefined && !canFetch;
    if (decision !== 'build' && !expected) continue;
    for (const source of Object.values(step.sources)) void provisioner.source(source);
    void provisioner.image(step.image);
  }
}
