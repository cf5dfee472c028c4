import type { Executor } from '../../executors/executor.ts';
import { buildKey } from '../../model/buildKey.ts';
import type { Digest } from '../../model/digest.ts';
import type { Verdict } from '../../model/verification.ts';
import type { Store } from '../../store/openStore.ts';
import { combine, type NotVaried, type RoundChange } from './axes.ts';
import type { Axis } from './axis.ts';
import { buildAgain, type Outcome, type Subject } from './buildAgain.ts';
import type { ImageCopies } from './imageCopies.ts';
import { executorOf, type MachineFacts, memoryFolderFor } from './machine.ts';
import type { Probes } from './probes.ts';

/** How a step is verified. */
export interface VerifyStepOptions {
  readonly store: Store;
  /** The executors that work here: the one that was chosen first, then others. */
  readonly executors: readonly Executor[];
  readonly machine: MachineFacts;
  readonly axes: readonly Axis[];
  readonly rounds: number;
  /** Hardening axes decide, too. */
  readonly strict: boolean;
  readonly bisect: boolean;
  readonly probes: Probes;
  readonly images: ImageCopies;
  readonly signal: AbortSignal;
  /** Called before each build; `what` is for people. */
  readonly onBuild: (what: string) => void;
}

/** What was found out about one step. */
export interface StepVerdict {
  readonly subject: Subject;
  readonly key: Digest;
  readonly verdict: Verdict;
  readonly reason: string | undefined;
  readonly rounds: readonly Outcome[];
  readonly executors: readonly string[];
  readonly varied: readonly Axis[];
  /** Axes that were not varied, or not for all kinds of programs. */
  readonly notVaried: readonly NotVaried[];
  /** Axes that change the bytes, as far as it was found out. */
  readonly mattering: readonly Axis[];
  /** True if it also differs with nothing varied. */
  readonly differsUnvaried: boolean;
  /** Hardening axes change the bytes, and do not decide. */
  readonly warned: boolean;
  /** Another artifact that came out. */
  readonly other: Digest | undefined;
}

/** Builds a step again, all axes at once, as many times as wanted; after a difference it looks for what matters. */
export async function verifyStep(
  subject: Subject,
  builder: string,
  inputBytes: number,
  options: VerifyStepOptions,
): Promise<StepVerdict> {
  const { store, signal, axes, onBuild } = options;
  const firstExecutor = executorOf(builder);
  const memoryFolder = await memoryFolderFor(inputBytes);
  const [usual, ...others] = options.executors;
  // The odd rounds in another executor, where there is one: that is an axis, too.
  const wantsOther = axes.some(({ name }) => name === 'executor');
  const other = wantsOther ? [...others, usual].find((executor) => executor?.name !== firstExecutor) : undefined;
  const executorOfRound = (round: number): Executor => (round % 2 === 0 ? (other ?? usual) : usual) as Executor;

  const wantsCopy =
    axes.some(({ name }) => name === 'image-order') &&
    Array.from({ length: options.rounds }, (_, round) => executorOfRound(round)).some(
      ({ name }) => name === 'namespace',
    );
  const reorderedImage = wantsCopy ? await options.images.copyOf(subject.image) : undefined;
  const build = (executor: Executor, change: RoundChange): Promise<Outcome> =>
    buildAgain(subject, executor, change, { store, memoryFolder, signal });
  const changeFor = (executor: Executor, which: readonly Axis[]): RoundChange =>
    combine(which, { ...options.machine, executor: executor.name, firstExecutor, memoryFolder, reorderedImage });

  const rounds: Outcome[] = [];
  const varied = new Set<Axis>();
  const forAll = new Set<Axis>();
  const unvaried = new Map<Axis, NotVaried>();
  const used = new Set<string>();
  let mattering: readonly Axis[] = [];
  let differsUnvaried = false;
  let decidedByHardening = false;
  let failing = false;
  for (let round = 0; round < options.rounds && !failing; round += 1) {
    signal.throwIfAborted();
    const executor = executorOfRound(round);
    const change = changeFor(executor, axes);
    const proof = await options.probes.prove(subject.image, executor, change, memoryFolder);
    for (const axis of proof.varied) varied.add(axis);
    const limited = [...change.notVaried, ...proof.notVaried];
    for (const entry of limited) unvaried.set(entry.axis, entry);
    for (const axis of proof.varied) if (!limited.some((entry) => entry.axis === axis)) forAll.add(axis);
    used.add(executor.name);
    onBuild(`round ${round + 1} of ${options.rounds}, ${proof.varied.length} axes varied, in ${executor.name}`);
    const outcome = await build(executor, change);
    rounds.push(outcome);
    if (outcome.kind === 'built' && outcome.digest === subject.artifact) continue;
    failing = true;

    // All axes matter until it is known which; a hardening axis alone does not decide.
    const hardening = change.tried.filter(({ kind }) => kind === 'hardening');
    if (options.bisect) {
      const found = await bisect(subject.artifact, executor, change.tried, { build, changeFor, onBuild, signal });
      ({ mattering, differsUnvaried } = found);
      decidedByHardening =
        !differsUnvaried && mattering.length > 0 && mattering.every(({ kind }) => kind === 'hardening');
    } else if (!options.strict && hardening.length > 0 && hardening.length < change.tried.length) {
      onBuild(`the same with the contract axes alone, in ${executor.name}`);
      const contract = await build(
        executor,
        changeFor(
          executor,
          axes.filter(({ kind }) => kind === 'contract'),
        ),
      );
      decidedByHardening = contract.kind === 'built' && contract.digest === subject.artifact;
    }
  }
  const last = rounds.at(-1) as Outcome;
  const warned = failing && decidedByHardening && !options.strict;
  const verdict: Verdict = !failing || warned ? 'reproduced' : last.kind === 'built' ? 'differs' : 'inconclusive';
  const nothing = varied.size === 0 && axes.length > 0;
  return {
    subject,
    key: buildKey(subject.document),
    verdict: verdict === 'reproduced' && nothing ? 'inconclusive' : verdict,
    reason: reasonOf(verdict, last, nothing),
    rounds,
    executors: [...used],
    varied: [...varied],
    notVaried: [...unvaried.values()].filter(({ axis }) => !forAll.has(axis)),
    mattering,
    differsUnvaried,
    warned,
    other: last.kind === 'built' && last.digest !== subject.artifact ? last.digest : undefined,
  };
}

function reasonOf(verdict: Verdict, last: Outcome, nothingVaried: boolean): string | undefined {
  if (verdict === 'inconclusive' && last.kind === 'failed') return `the build ${last.reason}`;
  return verdict === 'reproduced' && nothingVaried ? 'no axis could be varied' : undefined;
}

/** Turns on nothing, and then one axis after another, and gives those with which the step no longer gives its bytes. */
async function bisect(
  artifact: Digest,
  executor: Executor,
  tried: readonly Axis[],
  tools: {
    readonly build: (executor: Executor, change: RoundChange) => Promise<Outcome>;
    readonly changeFor: (executor: Executor, axes: readonly Axis[]) => RoundChange;
    readonly onBuild: (what: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly mattering: readonly Axis[]; readonly differsUnvaried: boolean }> {
  const gives = async (axes: readonly Axis[]): Promise<boolean> => {
    tools.signal.throwIfAborted();
    tools.onBuild(axes.length === 0 ? 'nothing varied' : `only ${axes.map(({ name }) => name).join(', ')}`);
    const outcome = await tools.build(executor, tools.changeFor(executor, axes));
    return outcome.kind === 'built' && outcome.digest === artifact;
  };
  // Then every other build would differ, too, and name axes that have nothing to do with it.
  if (!(await gives([]))) return { mattering: await fixedBy(executor, tried, tools), differsUnvaried: true };
  const mattering: Axis[] = [];
  for (const axis of tried) if (!(await gives([axis]))) mattering.push(axis);
  return { mattering, differsUnvaried: false };
}

/** Addresses are other ones in every build. Without that randomness, two builds agree if it is all that matters. */
async function fixedBy(
  executor: Executor,
  tried: readonly Axis[],
  tools: Parameters<typeof bisect>[3],
): Promise<readonly Axis[]> {
  const aslr = tried.filter(({ name }) => name === 'aslr');
  if (aslr.length === 0) return [];
  tools.onBuild('twice with addresses that stay the same');
  const change = tools.changeFor(executor, aslr);
  const [one, two] = [await tools.build(executor, change), await tools.build(executor, change)];
  return one.kind === 'built' && two.kind === 'built' && one.digest === two.digest ? aslr : [];
}
