import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Conditions, MountedContent } from '../executors/executor.ts';
import { temporaryFolder } from '../io/files.ts';
import { acquireLock } from '../io/lock.ts';
import { type BuildKeyDocument, buildKey } from '../model/buildKey.ts';
import type { Digest } from '../model/digest.ts';
import { explainSystemError, VmbuildError } from '../model/errors.ts';
import { stepLimits } from '../model/limits.ts';
import { type ArtifactFacts, artifactOf, type Realisation, realisation } from '../model/realisation.ts';
import { adoptTree, claimTree, isCollected } from '../store/artifacts.ts';
import { storeLog } from '../store/logs.ts';
import { scratchPrefix } from '../store/openStore.ts';
import { noteRun, readStored, recordRealisation, type TargetRun } from '../store/realisations.ts';
import { checkedLimits } from './checkLimits.ts';
import type { Step } from './evaluate.ts';
import type { How } from './events.ts';
import { hasOutput } from './hasOutput.ts';
import type { Provisioner } from './provision.ts';
import { type RealisedStep, type RealiseOptions, reused } from './realised.ts';
import { writeRecipeFiles } from './recipeFiles.ts';
import type { Substitution } from './substitution.ts';
import { buildFailed, explainStepError, notReproduced, notSubstituted, withTail } from './stepErrors.ts';
import { openStepLog } from './stepLog.ts';

/** What realising one step needs beyond the options of the whole realisation. */
interface StepOptions extends Omit<RealiseOptions, 'rebuild' | 'substitution'> {
  readonly rebuild: boolean;
  /** The plan has looked for it a moment ago, in vain. */
  readonly missing: boolean;
  /** Its artifact must be in the store; otherwise it is enough to know what it gives. */
  readonly needed: boolean;
  readonly substitution: Substitution;
  /** Sees to it that the artifact of an input is in the store. */
  readonly bringHere: (input: Step) => Promise<RealisedStep>;
  readonly provisioner: Provisioner;
  /** Runs the step's execution when it is its turn. */
  readonly executing: Turn;
  /** Runs what comes after it, while other steps already execute. */
  readonly finishing: Turn;
}

/** Runs work as soon as there is a place for it. */
type Turn = <T>(work: () => Promise<T>) => Promise<T>;

/** Everything that is known of a step once its inputs are there. */
interface Job {
  readonly step: Step;
  readonly document: BuildKeyDocument;
  readonly key: Digest;
}

/** Gives one step its artifact: from the store, or by executing it. Two processes never execute one build key at once. */
export async function realiseStep(step: Step, document: BuildKeyDocument, options: StepOptions): Promise<RealisedStep> {
  const { store, signal, emit } = options;
  const job: Job = { step, document, key: buildKey(document) };
  const present = options.missing ? undefined : await claim(job, options);
  if (present !== undefined && !options.rebuild) return reused(step, present, store);
  const substituted = options.rebuild ? undefined : await substitute(job, options);
  if (substituted !== undefined) return substituted;
  if (options.substitution.settings.only) throw notSubstituted(step.target, 0);

  // The key's lock may be removed while nobody relies on it.
  await store.pins.add([job.key]);
  const provided = await provide(job, options);
  // The lock and the scratch folder are held from the execution until the record is written.
  await using held = new AsyncDisposableStack();
  const outcome = await options.executing(async () => {
    held.use(
      await acquireLock(store.layout.lock('build', job.key), {
        signal,
        onWait: () => emit({ type: 'step-waiting', target: step.target, reason: 'another vmbuild is building it' }),
      }),
    );
    const meanwhile = await claim(job, options);
    if (meanwhile !== undefined && !options.rebuild) return reused(step, meanwhile, store);
    const scratch = held.use(await temporaryFolder(store.layout.temporary, scratchPrefix()));
    return await execute(job, provided, scratch.path, options);
  });
  return 'statement' in outcome ? outcome : await options.finishing(() => finish(job, outcome, options));
}

/** What is on record and may be believed, with its artifact in the store and pinned. */
async function claim({ step, key }: Job, { store, substitution }: StepOptions): Promise<Realisation | undefined> {
  const statement = substitution.known(step.target, key);
  if (statement === undefined) return undefined;
  return (await claimTree(store, artifactOf(statement))) === undefined ? undefined : statement;
}

/** What others have built, if there is enough to believe it; undefined if it has to be built here. */
async function substitute(job: Job, options: StepOptions): Promise<RealisedStep | undefined> {
  const { step, key } = job;
  const { substitution, store } = options;
  const known = substitution.known(step.target, key);
  const away = known !== undefined && (await isCollected(store, artifactOf(known)));
  const statement = away ? known : await substitution.lookUp(step.target, key);
  if (statement === undefined) return undefined;
  if (!options.needed) return reused(step, statement, store, 'skipped');
  return (await substitution.fetch(step.target, statement)) ? reused(step, statement, store, 'fetched') : undefined;
}

/** What a step runs on, all of it in the store. */
interface Provided {
  readonly image: { readonly rootfs: string; readonly config: string };
  readonly inputs: Readonly<Record<string, MountedContent>>;
}

async function provide({ step, document }: Job, { provisioner, bringHere }: StepOptions): Promise<Provided> {
  const inputPath = async (mount: string): Promise<string> => (await bringHere(step.inputs[mount] as Step)).path;
  const [image, ...contents] = await Promise.all([
    provisioner.image(step.image),
    ...Object.entries(document.inputs).map(async ([mount, content]): Promise<[string, MountedContent]> => {
      const source = Object.hasOwn(step.sources, mount) ? step.sources[mount] : undefined;
      const path = source === undefined ? await inputPath(mount) : await provisioner.source(source);
      return [mount, { ...content, path }];
    }),
  ]);
  return { image, inputs: Object.fromEntries(contents) };
}

/** An execution that succeeded. */
interface Execution {
  readonly startedOn: Date;
  /** The same moment on performance.now()'s clock, which nobody sets while the step runs. */
  readonly started: number;
  readonly executorName: string;
  readonly scratch: string;
  /** What it left; below the scratch folder. */
  readonly out: string;
}

/** Bytes of a log for which no file is made while the step runs. */
const HELD_LOG = 64 * 1024;

/** Runs the step in the scratch folder and stores its log. */
async function execute(job: Job, provided: Provided, scratch: string, options: StepOptions): Promise<Execution> {
  const { step, key } = job;
  const { store, emit } = options;
  const executor = await options.executor();
  const startedOn = new Date();
  const started = performance.now();
  emit({ type: 'step-started', target: step.target, buildKey: key, executor: executor.name });

  await attempt(job, options, scratch, async () => {
    const recipe = join(scratch, 'recipe');
    mkdirSync(recipe);
    writeRecipeFiles(step.files, recipe);
    const limits = await checkedLimits(step, executor, options.limits);
    const conditions: Conditions = { cores: options.cores, limits };
    using log = openStepLog(
      join(scratch, 'log'),
      (text) => emit({ type: 'step-output', target: step.target, text }),
      options.keepFailed ? 0 : HELD_LOG,
    );
    const result = await executor
      .run({
        name: step.target,
        buildKey: key,
        document: job.document,
        image: provided.image,
        recipe,
        inputs: provided.inputs,
        scratch,
        conditions,
        output: log.stream,
        signal: options.signal,
      })
      .catch(async (error: unknown) => {
        log.close();
        // What the executor says matters more than whether its log could be kept.
        await storeLog(store, key, log.content()).catch(() => {});
        throw withTail(error, log.tail());
      });
    log.close();
    await storeLog(store, key, log.content());
    if (result.exitCode !== 0) throw buildFailed(step, result, log.tail());
  });
  return { startedOn, started, executorName: executor.name, scratch, out: join(scratch, 'out') };
}

/** Takes what the execution left into the store, and then records it. */
async function finish(job: Job, execution: Execution, options: StepOptions): Promise<RealisedStep> {
  const artifact = await attempt(job, options, execution.scratch, () => adoptOutput(job.step, execution.out, options));
  return await record(job, artifact, execution, options);
}

/** Explains what went wrong in terms of the step, notes it as the step's last run, and keeps the scratch folder if wanted. */
async function attempt<T>(job: Job, options: StepOptions, scratch: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (options.signal.aborted) throw error;
    const { target } = job.step;
    const kept = options.keepFailed ? await keep(options, target, scratch) : undefined;
    // A full disk must not hide why the step failed.
    await noteRun(options.store, target, 'failed', thisRun(job, 0)).catch(() => {});
    const files = options.keepFailed ? { kept } : undefined;
    throw explainStepError(target, explainSystemError(error, `building ${target}`), files);
  }
}

async function adoptOutput(step: Step, out: string, { store, limits = {} }: StepOptions): Promise<ArtifactFacts> {
  if (!hasOutput(out)) {
    throw new VmbuildError('OUTPUT_INVALID', `${step.target} left nothing in /out`, { step: step.target });
  }
  return adoptTree(store, out, stepLimits(step.limits, limits).limits.output);
}

async function record(job: Job, artifact: ArtifactFacts, run: Execution, options: StepOptions): Promise<RealisedStep> {
  const { store } = options;
  const durationMs = Math.round(performance.now() - run.started);
  const finishedOn = new Date(run.startedOn.getTime() + durationMs);
  // Also where the recorded artifact itself is gone: its digest is known, and other bytes must not take its place.
  const stored = readStored(store, job.key);
  // What others have signed may not be believed any more; a build on this machine is.
  const before = stored?.envelopes === undefined ? stored?.statement : undefined;
  if (before !== undefined && artifactOf(before) !== artifact.digest) {
    await noteRun(store, job.step.target, 'failed', thisRun(job, 0));
    throw notReproduced(job.step.target, job.key, artifactOf(before), artifact.digest, store);
  }
  const statement = realisation(artifact, {
    target: job.step.target,
    derivation: job.step.hash,
    buildKey: job.key,
    document: job.document,
    licence: job.step.licence,
    executor: run.executorName,
    vmbuildVersion: options.vmbuildVersion,
    invocationId: randomUUID(),
    startedOn: run.startedOn,
    finishedOn,
  });
  await compareWithOthers(job, statement, options);
  // The first statement stays: a rebuild that agrees adds nothing to what is known of the bytes.
  if (before === undefined) await recordRealisation(store, statement);
  await noteRun(store, job.step.target, 'built', thisRun(job, durationMs));
  const how: How = before === undefined ? 'built' : 'rebuilt';
  return {
    step: job.step,
    how,
    buildKey: job.key,
    statement: before ?? statement,
    artifact: artifact.digest,
    path: store.layout.tree(artifact.digest),
    durationMs,
  };
}

/** What builders who are trusted have said of the same build must be the same. */
async function compareWithOthers({ step, key }: Job, own: Realisation, options: StepOptions): Promise<void> {
  try {
    options.substitution.compare(own);
  } catch (error) {
    await noteRun(options.store, step.target, 'failed', thisRun({ step, key }, 0));
    throw error;
  }
}

function thisRun({ step, key }: Pick<Job, 'step' | 'key'>, durationMs: number): TargetRun {
  return { derivation: step.hash, buildKey: key, at: new Date().toISOString(), durationMs };
}

async function keep({ store }: StepOptions, target: string, scratch: string): Promise<string | undefined> {
  const kept = join(store.layout.root, 'failed', `${target}-${Date.now()}`);
  try {
    await mkdir(join(store.layout.root, 'failed'), { recursive: true });
    await rename(scratch, kept);
    return kept;
  } catch {
    return undefined; // what the step itself died of matters more
  }
}
