import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIFFERENCES } from '../../executors/differences.ts';
import { VmbuildError } from '../../model/errors.ts';
import { LIMIT_NAMES } from '../../model/limits.ts';
import { exists } from '../../io/files.ts';
import { ownerPrefix } from '../../io/owner.ts';
import { openStore, stagingPath } from '../../store/openStore.ts';
import { type ExecutorReport, reportExecutors } from '../doctor/executorReport.ts';
import type { Fact } from '../doctor/fact.ts';
import { machineFacts } from '../doctor/machine.ts';
import { networkFacts } from '../doctor/network.ts';
import { storeFacts } from '../doctor/storeFacts.ts';
import { formatTable } from '../format.ts';
import { fetchSettings, type GlobalOptions, storeFolder } from '../settings.ts';

/** Options of `vmbuild doctor`. */
interface DoctorOptions extends GlobalOptions {
  readonly offline?: boolean;
  readonly json?: boolean;
}

/**
 * `vmbuild doctor`: whether and how this machine can build, and what would help where it cannot. Changes nothing, but for
 * what a vmbuild that was killed left in the store.
 *
 * @throws VmbuildError EXECUTOR_UNAVAILABLE if no executor works, or what opening the store throws.
 */
export async function doctorCommand(options: DoctorOptions, version: string): Promise<void> {
  const root = await storeFolder(options);
  const opened = await tryStore(root);
  const executors = await reportExecutors(opened.scratchPrefix);
  const facts = [...machineFacts(), ...storeFacts(root), ...(await networkFacts(await fetchSettings(options)))];
  const trouble = opened.trouble ?? noExecutor(executors);
  const report = { vmbuild: version, canBuild: trouble === undefined, executors, facts, differences: DIFFERENCES };
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), type: 'doctor', ...report })}\n`);
  } else {
    process.stdout.write(`vmbuild ${version}\n\n`);
    for (const executor of executors) process.stdout.write(`${describeExecutor(executor)}\n`);
    process.stdout.write(`${describeDifferences()}\nthis machine\n${describeFacts(facts)}`);
    if (trouble === undefined) process.stdout.write('\nIt can build.\n');
  }
  if (trouble !== undefined) throw trouble;
}

/** Where an executor may try itself out: in the store, so that it is on the store's file system; elsewhere if that is not to be had. */
async function tryStore(root: string): Promise<{ readonly scratchPrefix: string; readonly trouble?: VmbuildError }> {
  const elsewhere = { scratchPrefix: join(tmpdir(), `vmbuild-${ownerPrefix()}`) };
  if (!(await exists(root))) return elsewhere;
  try {
    return { scratchPrefix: stagingPath(await openStore(root)) };
  } catch (error) {
    if (!(error instanceof VmbuildError)) throw error;
    return { ...elsewhere, trouble: error };
  }
}

function noExecutor(executors: readonly ExecutorReport[]): VmbuildError | undefined {
  if (executors.some(({ works }) => works)) return undefined;
  const reasons = executors.map(({ name, about }) => `${name}: ${about}`).join('; ');
  return new VmbuildError('EXECUTOR_UNAVAILABLE', `no executor works here: ${reasons}`, {
    hints: executors.flatMap(({ advice }) => advice),
  });
}

function describeExecutor({ name, works, about, advice, limits }: ExecutorReport): string {
  const lines = [
    `${name} ${works ? 'works' : 'does not work'}: ${about}\n`,
    ...advice.map((text) => `  next: ${text}\n`),
  ];
  if (limits !== undefined) {
    lines.push(
      '  limits\n',
      formatTable(LIMIT_NAMES.map((limit) => [`    ${limit}`, limits[limit].kept, limits[limit].how])),
    );
  }
  return lines.join('');
}

function describeDifferences(): string {
  const rows = DIFFERENCES.map(
    ({ what, namespace, docker }) => `  ${what}\n    namespace: ${namespace}\n    docker:    ${docker}\n`,
  );
  return `what a step can tell them apart by (docs/sandbox.md says why)\n${rows.join('')}`;
}

function describeFacts(facts: readonly Fact[]): string {
  const width = Math.max(...facts.map(({ name }) => name.length));
  return facts
    .map(({ name, value, advice }) =>
      [`  ${name.padEnd(width)}  ${value}\n`, ...advice.map((text) => `    next: ${text}\n`)].join(''),
    )
    .join('');
}
