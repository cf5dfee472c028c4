import { availableParallelism } from 'node:os';
import { budgetRows, checkPlan, type Plan } from '../../build/plan.ts';
import { realise } from '../../build/realise.ts';
import type { RealisedStep } from '../../build/realised.ts';
import type { Step } from '../../build/evaluate.ts';
import { type LicenceClass, LICENCE_MEANINGS } from '../../model/blobSlot.ts';
import type { LimitChanges } from '../../model/limits.ts';
import { budgetTable } from '../../model/flashBudget.ts';
import { printableName } from '../../model/printable.ts';
import { filesOf, licenceOf } from '../../model/realisation.ts';
import type { Store } from '../../store/openStore.ts';
import { findSource } from '../../store/sources.ts';
import { findImage } from '../../store/images.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { type ExecutorChoice, executorChooser } from '../chooseExecutor.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatBytes, formatCount, formatDuration, formatTable } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type MaskedRom, maskedRom, maskedText } from '../maskedRom.ts';
import { type SubstituteOptions, substitutionSettings } from '../cacheSettings.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';
import { copyArtifacts } from './copyArtifacts.ts';

/** Options of `vmbuild realize`. */
interface RealizeOptions extends GlobalOptions, FetchOptions, SubstituteOptions {
  readonly executor: ExecutorChoice;
  readonly jobs?: number;
  readonly cores?: number;
  readonly limit?: LimitChanges;
  readonly rebuild?: boolean;
  readonly rebuildAll?: boolean;
  readonly keepFailed?: boolean;
  readonly dryRun?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

/** `vmbuild realize`: from targets to artifacts. */
export async function realizeCommand(
  targets: readonly string[],
  options: RealizeOptions,
  version: string,
): Promise<void> {
  const { project, evaluator, store, plan } = await openContext(options, options.dryRun === true ? 'read' : 'write');
  const steps = await evaluateAll(evaluator, targets);
  if (options.dryRun === true) return dryRun(await plan(steps), store, options.json === true);

  using interrupt = interruptSignal();
  const start = performance.now();
  let results: readonly RealisedStep[];
  {
    using renderer = chooseRenderer(options.json === true);
    const { emit } = renderer;
    const cores = options.cores ?? availableParallelism();
    results = await realise(steps, {
      store,
      fetch: await fetchSettings(options),
      substitution: await substitutionSettings(options, interrupt.signal, emit),
      executor: executorChooser(options.executor, store, emit),
      jobs: options.jobs ?? defaultJobs(),
      cores,
      limits: options.limit ?? {},
      rebuild: options.rebuildAll === true ? 'graph' : options.rebuild === true ? 'targets' : 'nothing',
      keepFailed: options.keepFailed ?? false,
      holdResults: options.output !== undefined,
      vmbuildVersion: version,
      emit,
      signal: interrupt.signal,
    });
  }
  const named = results.filter((result) => steps.some((step) => step.hash === result.step.hash));
  const copied = options.output === undefined ? undefined : await copyArtifacts(named, options.output);
  const masked = new Map<RealisedStep, MaskedRom>();
  for (const result of named) {
    const rom = await maskedRom(result.step, result.statement, result.path, project);
    if (rom !== undefined) masked.set(result, rom);
  }
  if (options.json === true) return printJson(named, masked, copied);
  printSummary(results, { named, masked, elapsedMs: performance.now() - start, copied });
}

/**
 * Two steps at once keep the cores busy while one of them links or unpacks; more only pays on large machines,
 * where a single compile cannot use all cores.
 */
function defaultJobs(): number {
  return Math.max(2, Math.min(8, Math.floor(availableParallelism() / 4)));
}

function printSummary(
  results: readonly RealisedStep[],
  {
    named,
    masked,
    elapsedMs,
    copied,
  }: {
    readonly named: readonly RealisedStep[];
    readonly masked: ReadonlyMap<RealisedStep, MaskedRom>;
    readonly elapsedMs: number;
    readonly copied: string | undefined;
  },
): void {
  const out = (text: string): void => void process.stdout.write(text);
  const executed = results.filter(({ how }) => how === 'built' || how === 'rebuilt');
  const fetched = results.filter(({ how }) => how === 'fetched');
  if (executed.length > 0) {
    out(
      formatTable(executed.map(({ step, how, durationMs }) => [`  ${step.target}`, how, formatDuration(durationMs)])),
    );
  }
  for (const result of named) {
    const { step, artifact, path, statement } = result;
    out(`${step.target}  ${artifact}\n`);
    for (const file of filesOf(statement)) {
      out(
        `  ${path}/${printableName(file.name)}\n    ${formatBytes(file.annotations.size)}, sha256 ${file.digest.sha256}\n`,
      );
    }
    out(maskedText(masked.get(result)));
    if (step.flashBudget !== undefined) out(`  flash:\n${budgetTable(step.flashBudget, budgetRows(step, results))}\n`);
    out(licenceLine(step, licenceOf(statement)));
    const lacking = Object.keys(step.lacks);
    if (lacking.length > 0) {
      out(`  NOT TO BE FLASHED as it is: it lacks ${lacking.join(', ')}; vmbuild show ${step.target} says more\n`);
    }
  }
  if (copied !== undefined) out(`copied to ${copied}, with SHA256SUMS\n`);
  const reusedCount = results.filter(({ how }) => how === 'reused').length;
  const fromCaches = fetched.length === 0 ? '' : `, ${fetched.length} from a cache`;
  out(
    `${formatCount(executed.length, 'step')} executed, ${reusedCount} taken from the store${fromCaches}, ${formatDuration(elapsedMs)}\n`,
  );
}

/** How far the artifact may travel, if vendor blobs have a say in it. */
function licenceLine({ takes }: Step, licence: LicenceClass): string {
  const slots = Object.keys(takes);
  if (slots.length === 0 && licence === 'may-be-shared') return '';
  const made = slots.length === 0 ? 'vendor blobs' : slots.join(', ');
  return `  made with ${made}: ${licence}, ${LICENCE_MEANINGS[licence]}\n`;
}

function printJson(
  named: readonly RealisedStep[],
  masked: ReadonlyMap<RealisedStep, MaskedRom>,
  copied: string | undefined,
): void {
  for (const realised of named) {
    const { step, buildKey, artifact, path, how, statement } = realised;
    const files = filesOf(statement).map(({ name, digest, annotations }) => ({
      name,
      sha256: digest.sha256,
      size: annotations.size,
    }));
    const result = {
      type: 'result',
      target: step.target,
      how,
      buildKey,
      artifact,
      path,
      copiedTo: copied,
      files,
      masked: masked.get(realised)?.masked,
      lacks: step.lacks,
      takes: Object.keys(step.takes),
      licence: licenceOf(statement),
    };
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...result })}\n`);
  }
}

/** What would happen, and why; nothing is fetched, assembled or started for it. */
async function dryRun(plan: Plan, store: Store, json: boolean): Promise<void> {
  checkPlan(plan);
  const rows: string[][] = [];
  const missing = new Map<string, string[]>();
  for (const { step, decision, reason } of plan) {
    rows.push([step.target, decision === 'depends' ? 'build?' : decision, reason]);
    if (decision !== 'build' && decision !== 'depends') continue;
    for (const source of Object.values(step.sources)) {
      if (source.blob !== undefined) continue;
      const size = source.size === undefined ? '' : formatBytes(source.size);
      if ((await findSource(store, source)) === undefined)
        missing.set(source.digest, [`source ${source.name}`, 'fetch', size]);
    }
    if ((await findImage(store, step.image.digest)) === undefined) {
      missing.set(step.image.digest, [`image ${step.image.name}`, 'assemble', '']);
    }
  }
  if (json) {
    const planned = plan.map(({ step, decision, reason, buildKey }) => ({
      target: step.target,
      decision,
      reason,
      buildKey,
    }));
    const wanted = [...missing].map(([digest, [name, action]]) => ({ name, action, digest }));
    process.stdout.write(`${JSON.stringify({ steps: planned, missing: wanted }, null, 2)}\n`);
    return;
  }
  process.stdout.write(formatTable([...missing.values(), ...rows]));
  if (plan.some(({ decision }) => decision === 'depends')) {
    process.stdout.write('build? = only if an input comes out with other bytes than before\n');
  }
}
