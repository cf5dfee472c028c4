import { availableParallelism } from 'node:os';
import { restoreRoot } from '../../build/restoreRoot.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { isHarmless } from '../../store/check/finding.ts';
import { indexRecords } from '../../store/gc/recordIndex.ts';
import type { Store } from '../../store/openStore.ts';
import { carryOut, type Outcome } from '../../store/repair/carryOut.ts';
import { findForRepair } from '../../store/repair/findForRepair.ts';
import { keptThings, type LackingRoot, lackingRoots } from '../../store/repair/kept.ts';
import { chooseRepairs, type Repair } from '../../store/repair/repairs.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { substitutionSettings } from '../cacheSettings.ts';
import { type ExecutorChoice, executorChooser } from '../chooseExecutor.ts';
import { openContext } from '../context.ts';
import { formatCount } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { renderError } from '../render/error.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';
import { describeFinding, printLine, progressLine, summaryOf } from './store.ts';

/** Options of `vmbuild store check --repair`. */
export interface RepairOptions extends GlobalOptions, FetchOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly executor: ExecutorChoice;
}

/**
 * `vmbuild store check --repair`: moves away what is damaged, and makes again what roots keep.
 *
 * @throws VmbuildError CHECK_FAILED if something is still wrong afterwards; with --dry-run, if there is anything to repair.
 */
export async function storeRepairCommand(options: RepairOptions, version: string): Promise<void> {
  const dryRun = options.dryRun === true;
  const json = options.json === true;
  const context = await openContext(options, dryRun ? 'read' : 'write');
  const { store } = context;
  using interrupt = interruptSignal();
  const { signal } = interrupt;
  const progress = progressLine();
  const { summary, findings } = await findForRepair(store, { signal, onProgress: progress.show }).finally(
    progress.clear,
  );
  const index = await indexRecords(store);
  const kept = await keptThings(store, index);
  const repairs = chooseRepairs(findings, kept, index);

  const failed: Repair[] = [];
  const tell = (repair: Repair, outcome: Outcome | 'planned'): void => {
    if (outcome === 'in-use' || (repair.remedy === 'leave' && !isHarmless(repair.finding))) failed.push(repair);
    report(repair, outcome, json);
  };
  if (dryRun) for (const repair of repairs) tell(repair, 'planned');
  else await carryOut(store, repairs, { kept, signal, tell });

  const going = new Set(
    repairs.flatMap(({ remedy, finding }) => (remedy === 'move-away' ? digestIn(finding.path) : [])),
  );
  const lacking = await lackingRoots(store, await indexRecords(store), kept.roots, dryRun ? going : new Set());
  if (dryRun) {
    for (const root of lacking) reportRoot(root, 'would be made again', json);
    const wrong = findings.filter(({ finding }) => !isHarmless(finding)).length;
    conclude(store, wrong, `checked ${summaryOf(summary)}; nothing was changed`, json);
    return;
  }
  const lost = await restoreAll(lacking, context, options, { version, signal });
  // In front of everything else it says what to do: what is left is either somebody else's, or cannot be had again.
  conclude(
    store,
    failed.length + lost,
    `checked ${summaryOf(summary)}; ${formatCount(repairs.length, 'finding')}`,
    json,
  );
}

/** Makes again what roots lack; returns how many of them still lack something. */
async function restoreAll(
  lacking: readonly LackingRoot[],
  { store, evaluator }: Awaited<ReturnType<typeof openContext>>,
  options: RepairOptions,
  { version, signal }: { readonly version: string; readonly signal: AbortSignal },
): Promise<number> {
  const json = options.json === true;
  let failures = 0;
  for (const one of lacking) {
    using renderer = chooseRenderer(json);
    try {
      await restoreRoot(one, evaluator, {
        store,
        fetch: await fetchSettings(options),
        substitution: await substitutionSettings(options, signal, renderer.emit),
        executor: executorChooser(options.executor, store, renderer.emit),
        jobs: 2,
        cores: availableParallelism(),
        keepFailed: false,
        vmbuildVersion: version,
        emit: renderer.emit,
        signal,
      });
      const still = await lackingRoots(store, await indexRecords(store), [one.root]);
      if (still[0] === undefined) reportRoot(one, 'made again', json);
      else throw new VmbuildError('STORE_DAMAGED', `${one.root.target} was realised, and has other steps than it had`);
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      reportRoot(one, 'NOT made again', json, error);
    }
  }
  return failures;
}

function digestIn(path: string): string[] {
  const digest = /^(?:artifacts|sources|images|realisations)\/([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
  return digest === undefined ? [] : [digest];
}

function report({ finding, remedy, quarantine, madeOfIt }: Repair, outcome: Outcome | 'planned', json: boolean): void {
  if (json) return printLine({ type: 'repair', ...finding, action: remedy, outcome, quarantine, madeOfIt });
  const would = outcome === 'planned' ? 'would be ' : '';
  const done: Readonly<Record<Repair['remedy'], string>> = {
    'move-away': `${would}moved to ${quarantine}`,
    'set-modes': `modes ${would}set`,
    'note-collected': `nothing keeps it: ${would}noted as collected`,
    'make-again': `a root keeps it: see below`,
    'forget-steps': `${would}taken out of the root; the next attempt makes it again`,
    leave: `left as it is: ${finding.remedy}`,
  };
  const text = {
    planned: done[remedy],
    done: done[remedy],
    changed: 'is gone, or another one has its name by now: nothing was done',
    'in-use': 'left as it is: a vmbuild that runs uses it',
  }[outcome];
  process.stdout.write(`${describeFinding(finding)}  repair: ${text}\n`);
  if (madeOfIt.length > 0) {
    process.stdout.write(
      `  note: what was made of it after it was damaged may be wrong, too: vmbuild realize --rebuild ${madeOfIt.join(' ')}\n`,
    );
  }
}

function reportRoot({ root, lost }: LackingRoot, what: string, json: boolean, error?: unknown): void {
  const { kind, target, derivation, buildKey } = root;
  if (json) {
    const code = error instanceof VmbuildError ? error.code : error === undefined ? undefined : 'INTERNAL';
    const message = error === undefined ? undefined : errorMessage(error);
    printLine({ type: 'root', kind, target, derivation, buildKey, lost: [...lost], outcome: what, code, message });
    return;
  }
  process.stdout.write(`root ${target}: ${formatCount(lost.size, 'thing')} that it keeps ${what}\n`);
  if (error !== undefined) process.stdout.write(renderError(error, { color: false, debug: false }));
}

function conclude({ layout }: Store, wrong: number, sentence: string, json: boolean): void {
  if (json) printLine({ type: 'repaired', clean: wrong === 0, store: layout.root });
  else process.stdout.write(`${sentence}\n`);
  if (wrong > 0) throw new VmbuildError('CHECK_FAILED', `${formatCount(wrong, 'thing')} in ${layout.root} is wrong`);
}
