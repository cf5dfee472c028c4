import PQueue from 'p-queue';
import type { MountedContent } from '../../executors/executor.ts';
import { temporaryFolder } from '../../io/files.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf, durationOf, licenceOf, type Realisation } from '../../model/realisation.ts';
import { type Verification, verification, type VerificationFacts } from '../../model/verification.ts';
import { claimTree } from '../../store/artifacts.ts';
import { scratchPrefix } from '../../store/openStore.ts';
import { recordVerification } from '../../store/verifications.ts';
import { chooseSteps, type StepChoice } from '../chooseSteps.ts';
import type { Step } from '../evaluate.ts';
import { planSteps } from '../plan.ts';
import { createProvisioner, type Provisioner, type ProvisionOptions } from '../provision.ts';
import type { Subject } from './buildAgain.ts';
import { ImageCopies } from './imageCopies.ts';
import { describeMachine, sweepMemory } from './machine.ts';
import { verificationOnRecord } from './onRecord.ts';
import { Probes } from './probes.ts';
import { type StepVerdict, verifyStep, type VerifyStepOptions } from './verifyStep.ts';

/** How targets are verified. */
export interface VerifyOptions
  extends ProvisionOptions, StepChoice, Pick<VerifyStepOptions, 'executors' | 'axes' | 'rounds' | 'strict' | 'bisect'> {
  /** Steps at once. */
  readonly jobs: number;
  /** What the store has a verification of that says as much is told, and not built again. */
  readonly recorded?: boolean;
  readonly cores: number;
  readonly vmbuildVersion: string;
  readonly onStep: (event: VerifyEvent) => void;
}

/** What happens during a verification. */
export type VerifyEvent =
  | { readonly type: 'verify-building'; readonly target: string; readonly what: string }
  | { readonly type: 'verified-before'; readonly target: string; readonly statement: Verification }
  | { readonly type: 'verified'; readonly result: StepVerdict };

/**
 * Builds the steps of the targets' graphs again, each from its realised inputs in changed surroundings, records what came
 * of it, and returns it, the steps in the order of the graph. With `recorded`, those that were verified before are not among them.
 *
 * @throws VmbuildError NOT_REALISED if a step has no artifact to compare with.
 */
export async function verifyTargets(targets: readonly Step[], options: VerifyOptions): Promise<readonly StepVerdict[]> {
  const { store, signal } = options;
  const chosen = chooseSteps(targets, options);
  const plan = await planSteps(targets, store);
  const realised = new Map(plan.map(({ step, statement }) => [step.hash, statement]));
  for (const { target, hash } of chosen) {
    if (realised.get(hash) !== undefined) continue;
    throw new VmbuildError('NOT_REALISED', `${target} is not realised, so there is nothing to compare with`, {
      step: target,
      hints: [`Realise it first: vmbuild realize ${targets.map((step) => step.target).join(' ')}`],
    });
  }
  const statementOf = (step: Step): Realisation => realised.get(step.hash) as Realisation;
  const left = chosen.filter(
    (step) => !(options.recorded === true && verifiedBefore(step, statementOf(step), options)),
  );
  if (left.length === 0) return [];
  await sweepMemory();
  await using provisioner = createProvisioner(options);
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const machine = describeMachine(scratch.path, options.cores);
  const [first] = options.executors;
  if (first === undefined) throw new VmbuildError('INTERNAL', 'a verification without an executor');
  const probes = new Probes(first, options);
  await using images = new ImageCopies();
  const queue = new PQueue({ concurrency: options.jobs });
  // The longest first, so that none of them is left alone at the end.
  const order = left.toSorted((a, b) => durationOf(statementOf(b)) - durationOf(statementOf(a)));
  const verdicts = new Map<Step, StepVerdict>();
  await queue.addAll(
    order.map((step) => async () => {
      signal.throwIfAborted();
      const statement = statementOf(step);
      const subject = await provide(step, statement, realised, provisioner, options);
      const result = await verifyStep(
        subject,
        statement.predicate.runDetails.builder.id,
        sizeOfInputs(step, realised),
        {
          ...options,
          machine,
          probes,
          images,
          onBuild: (what) => options.onStep({ type: 'verify-building', target: step.target, what }),
        },
      );
      await record(result, statement, options);
      verdicts.set(step, result);
      options.onStep({ type: 'verified', result });
    }),
  );
  return left.map((step) => verdicts.get(step) as StepVerdict);
}

/** True, and told, if the store has a verification of a step that says as much as one of now would. */
function verifiedBefore(step: Step, realised: Realisation, options: VerifyOptions): boolean {
  const { buildKey } = realised.predicate.buildDefinition.internalParameters;
  const statement = verificationOnRecord(options.store, buildKey, artifactOf(realised), options);
  if (statement !== undefined) options.onStep({ type: 'verified-before', target: step.target, statement });
  return statement !== undefined;
}

async function provide(
  step: Step,
  statement: Realisation,
  realised: ReadonlyMap<string, Realisation | undefined>,
  provisioner: Provisioner,
  { store }: VerifyOptions,
): Promise<Subject> {
  const { document } = statement.predicate.buildDefinition.internalParameters;
  // A collection must not take away what is compared with.
  await store.pins.add([artifactOf(statement)]);
  const inputs: Record<string, MountedContent> = {};
  for (const [mount, content] of Object.entries(document.inputs)) {
    const source = step.sources[mount];
    if (source !== undefined) {
      inputs[mount] = { ...content, path: await provisioner.source(source) };
      continue;
    }
    const input = step.inputs[mount];
    const path = await claimTree(store, content.digest);
    if (path === undefined || input === undefined || realised.get(input.hash) === undefined) {
      throw new VmbuildError('NOT_REALISED', `the input ${mount} of ${step.target} is not in the store`, {
        step: step.target,
        hints: [`Realise it first: vmbuild realize ${step.target} --rebuild-all`],
      });
    }
    inputs[mount] = { ...content, path };
  }
  const image = await provisioner.image(step.image);
  return { step, document, artifact: artifactOf(statement), image, inputs };
}

/** Bytes, about. */
function sizeOfInputs(step: Step, realised: ReadonlyMap<string, Realisation | undefined>): number {
  const artifacts = Object.values(step.inputs).map(
    (input) => realised.get(input.hash)?.subject[0]?.annotations.size ?? 0,
  );
  const sources = Object.values(step.sources).map(({ size }) => size ?? 512 * 1024 * 1024);
  return [...artifacts, ...sources].reduce((sum, size) => sum + size, 0);
}

async function record(result: StepVerdict, statement: Realisation, options: VerifyOptions): Promise<void> {
  const licence = licenceOf(statement);
  const facts: VerificationFacts = {
    target: result.subject.step.target,
    buildKey: result.key,
    verdict: result.verdict,
    reason: result.reason,
    rounds: result.rounds.map((outcome) => (outcome.kind === 'built' ? outcome.digest : null)),
    executors: result.executors,
    notVaried: Object.fromEntries(result.notVaried.map(({ axis, reason }) => [axis.name, reason])),
    version: options.vmbuildVersion,
    finishedOn: new Date().toISOString(),
    ...(licence === 'may-be-shared' ? {} : { licence }),
  };
  await recordVerification(
    options.store,
    result.key,
    verification({
      ...facts,
      artifact: result.subject.artifact,
      varied: result.varied.map(({ name }) => name),
      mattering: result.mattering.map(({ name }) => name),
      warned: result.warned,
    }),
  );
}
