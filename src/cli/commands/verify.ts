import { availableParallelism } from 'node:os';
import { axesNamed } from '../../build/verify/axes.ts';
import { verificationLog } from '../../build/verify/buildAgain.ts';
import { type VerifyEvent, verifyTargets } from '../../build/verify/verify.ts';
import type { StepVerdict } from '../../build/verify/verifyStep.ts';
import type { Executor } from '../../executors/executor.ts';
import { VmbuildError } from '../../model/errors.ts';
import { countVaried } from '../../model/verification.ts';
import type { Store } from '../../store/openStore.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { type ExecutorChoice, workingExecutors } from '../chooseExecutor.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatCount, formatDuration } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';

/** Options of `vmbuild verify`. */
interface VerifyCommandOptions extends GlobalOptions, FetchOptions {
  readonly executor: ExecutorChoice;
  readonly depth?: number;
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly axis?: string;
  readonly strict?: boolean;
  readonly bisect?: boolean;
  readonly recorded?: boolean;
  readonly jobs?: number;
  readonly cores?: number;
  readonly json?: boolean;
}

/**
 * `vmbuild verify`: builds realised targets again in changed surroundings, and compares.
 *
 * @throws VmbuildError NOT_REPRODUCED if some step gave other bytes, INCONCLUSIVE if of some it is not known.
 */
export async function verifyCommand(
  targets: readonly string[],
  options: VerifyCommandOptions,
  version: string,
): Promise<void> {
  const axes = axesNamed(options.axis?.split(',').filter((name) => name !== ''));
  const { evaluator, store } = await openContext(options, 'write');
  const steps = await evaluateAll(evaluator, targets);
  using interrupt = interruptSignal();
  const start = performance.now();
  const json = options.json === true;
  let before = 0;
  const tell = (event: VerifyEvent): void => {
    if (event.type === 'verified-before') before += 1;
    if (json) process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...asJson(event) })}\n`);
    else if (event.type === 'verify-building') process.stderr.write(`${event.target}: ${event.what}\n`);
    else if (event.type === 'verified-before') process.stdout.write(describeBefore(event));
    else process.stdout.write(describe(event.result, store));
  };
  let results: readonly StepVerdict[];
  let executors: readonly Executor[];
  {
    using renderer = chooseRenderer(json);
    executors = await workingExecutors(options.executor, store, renderer.emit);
    results = await verifyTargets(steps, {
      store,
      fetch: await fetchSettings(options),
      emit: renderer.emit,
      signal: interrupt.signal,
      executors,
      axes,
      rounds: options.rounds,
      strict: options.strict ?? false,
      bisect: options.bisect ?? false,
      recorded: options.recorded ?? false,
      depth: options.depth,
      only: options.only,
      jobs: options.jobs ?? 1,
      cores: options.cores ?? availableParallelism(),
      vmbuildVersion: version,
      onStep: tell,
    });
  }
  for (const result of results.filter(({ verdict }) => verdict === 'differs')) {
    const { explainDifference } = await import('../explainDifference.ts');
    const executor = executors[0] as Executor;
    await explainDifference(result, { options, store, executor, signal: interrupt.signal, json });
  }
  const count = (verdict: string): number => results.filter((result) => result.verdict === verdict).length;
  const [differs, inconclusive] = [count('differs'), count('inconclusive')];
  if (!json) {
    const others = [
      ...(before > 0 ? [`${before} of them before`] : []),
      ...(differs > 0 ? [`${differs} differ`] : []),
      ...(inconclusive > 0 ? [`${inconclusive} inconclusive`] : []),
    ];
    process.stdout.write(
      `${count('reproduced') + before} of ${formatCount(results.length + before, 'step')} reproduced${others.map((text) => `, ${text}`).join('')}, ${formatDuration(performance.now() - start)}\n`,
    );
  }
  conclude(results, store);
}

function conclude(results: readonly StepVerdict[], store: Store): void {
  const first =
    results.find(({ verdict }) => verdict === 'differs') ?? results.find(({ verdict }) => verdict !== 'reproduced');
  if (first === undefined) return;
  const { target } = first.subject.step;
  const log = verificationLog(store, first.key);
  if (first.verdict === 'inconclusive') {
    const tail = first.rounds.at(-1);
    throw new VmbuildError('INCONCLUSIVE', `whether ${target} is reproducible is not known: ${first.reason}`, {
      step: target,
      ...(tail?.kind === 'failed' && { log, excerpt: tail.tail }),
      hints: ['Which axis it cannot live with: vmbuild verify --bisect', 'Without some of them: --axis <names>'],
    });
  }
  throw new VmbuildError('NOT_REPRODUCED', `${target} gives other bytes in other surroundings`, {
    step: target,
    log,
    hints: [
      ...(first.other === undefined ? [] : [`Where: vmbuild diff ${first.subject.artifact} ${first.other}`]),
      ...(first.mattering.length > 0 || first.differsUnvaried
        ? []
        : [`Why: vmbuild verify ${target} --depth 0 --bisect`]),
    ],
  });
}

/** What was found out about a step, for people. */
function describe(result: StepVerdict, { layout }: Store): string {
  const { step, artifact } = result.subject;
  const agreeing = result.rounds.filter((round) => round.kind === 'built' && round.digest === artifact).length;
  const lines = [
    `${step.target}  ${result.verdict}: ${agreeing} of ${formatCount(result.rounds.length, 'round')} the same, ` +
      `${result.varied.length} axes varied, ${result.notVaried.length} not or not for all`,
    ...(result.reason === undefined ? [] : [`  ${result.reason}`]),
    ...result.notVaried.map(({ axis, reason }) => `  not varied: ${axis.name}: ${reason}`),
    ...(result.differsUnvaried
      ? ['  it gives other bytes even if nothing is varied: chance, a race, or the time']
      : []),
    ...result.mattering.map(({ name, about }) => `  matters: ${name} (${about})`),
    ...(result.warned
      ? ['  warning: other bytes where what the sandbox fixes is varied; --strict would count that']
      : []),
    ...(result.other === undefined
      ? []
      : [`  recorded: ${layout.tree(artifact)}`, `  other:    ${layout.tree(result.other)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** What is on record of a step that is not built again, for people. */
function describeBefore({ target, statement }: Extract<VerifyEvent, { type: 'verified-before' }>): string {
  const { vmbuild } = statement.predicate;
  const lines = [
    `${target}  reproduced before, on ${vmbuild.finishedOn}, in ${vmbuild.executors.join(' and ')}: ` +
      `${formatCount(vmbuild.rounds.length, 'round')}, ${countVaried(statement)} axes varied`,
    ...Object.entries(vmbuild.notVaried).map(([name, reason]) => `  not varied: ${name}: ${reason}`),
  ];
  return `${lines.join('\n')}\n`;
}

function asJson(event: VerifyEvent): object {
  if (event.type !== 'verified') return event;
  const { subject, key, verdict, reason, rounds, executors, varied, notVaried, mattering, other, ...flags } =
    event.result;
  return {
    type: event.type,
    target: subject.step.target,
    buildKey: key,
    artifact: subject.artifact,
    verdict,
    reason,
    rounds: rounds.map((round) => (round.kind === 'built' ? { digest: round.digest } : { failed: round.reason })),
    executors,
    varied: varied.map(({ name }) => name),
    notVaried: notVaried.map(({ axis, reason: why }) => ({ axis: axis.name, reason: why })),
    mattering: mattering.map(({ name }) => name),
    differsUnvaried: flags.differsUnvaried,
    warned: flags.warned,
    other,
  };
}
