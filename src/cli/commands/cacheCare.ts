import { checkCache, type CacheFinding } from '../../build/caches/checkCache.ts';
import { collectCache, SHORTEST_GRACE_MS } from '../../build/caches/collectCache.ts';
import { copyCache } from '../../build/caches/copyCache.ts';
import { pathsIn } from '../../build/caches/pathsOf.ts';
import type { Step } from '../../build/evaluate.ts';
import { VmbuildError } from '../../model/errors.ts';
import { printable } from '../../model/printable.ts';
import { parseTime } from '../../model/units.ts';
import { openNamedCache } from '../cacheSettings.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatBytes, formatCount, formatSpan } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import type { GlobalOptions } from '../settings.ts';

/** Options of the commands that look after a cache. */
interface CareOptions extends GlobalOptions {
  readonly json?: boolean;
}

/**
 * `vmbuild cache check`: everything in a cache against its name, or what belongs to targets.
 *
 * @throws VmbuildError CHECK_FAILED if something is not as it should be.
 */
export async function cacheCheck(url: string, targets: readonly string[], options: CareOptions): Promise<void> {
  using interrupt = interruptSignal();
  const cache = await openNamedCache(url, interrupt.signal);
  const paths = await pathsIn(cache, await stepsOf(targets, options));
  const findings: CacheFinding[] = [];
  const say = sayer(options);
  const summary = await checkCache(cache, paths, {
    signal: interrupt.signal,
    onFinding: (finding) => {
      findings.push(finding);
      say({ type: 'finding', ...finding }, `${finding.trouble}  ${finding.path}\n  ${finding.message}`);
    },
  });
  const problems = findings.filter(({ trouble }) => trouble !== 'leftover').length;
  const { objects, statements, bytes } = summary;
  say(
    { type: 'checked', clean: problems === 0, cache: cache.where, ...summary },
    `checked ${formatCount(objects, 'object')} (${formatBytes(bytes)}) and ${formatCount(statements, 'statement')}`,
  );
  if (problems === 0) return;
  throw new VmbuildError('CHECK_FAILED', `${formatCount(problems, 'thing')} in ${cache.where} is wrong`, {
    hints: ['Nobody takes what is damaged. Remove it, and push again from where it was built.'],
  });
}

/** `vmbuild cache copy`: from one cache to another, everything or what belongs to targets. */
export async function cacheCopy(
  [from, to]: readonly [string, string],
  targets: readonly string[],
  options: CareOptions,
): Promise<void> {
  using interrupt = interruptSignal();
  const [source, goal] = [await openNamedCache(from, interrupt.signal), await openNamedCache(to, interrupt.signal)];
  const paths = await pathsIn(source, await stepsOf(targets, options));
  const say = sayer(options);
  const summary = await copyCache(source, goal, paths, {
    signal: interrupt.signal,
    onCopied: (path, size) => say({ type: 'copied', path, size }, `${path}  ${formatBytes(size)}`),
    onLeftOut: (path, why) => say({ type: 'left-out', path, why }, `left out: ${path}: ${why}`),
  });
  const { written, present, bytes, leftOut } = summary;
  say(
    { type: 'result', from: source.where, to: goal.where, ...summary },
    `${formatCount(written, 'object')} written (${formatBytes(bytes)}), ${present} there already`,
  );
  if (leftOut > 0) throw new VmbuildError('CHECK_FAILED', `${formatCount(leftOut, 'thing')} could not be copied`);
}

/** Options of `vmbuild cache gc`. */
interface CollectCommandOptions extends CareOptions {
  readonly grace: string;
  readonly writers?: boolean;
  readonly dryRun?: boolean;
}

/** `vmbuild cache gc`: removes what nobody needs. */
export async function cacheGc(url: string, targets: readonly string[], options: CollectCommandOptions): Promise<void> {
  const graceMs = parseTime(options.grace);
  if (graceMs === undefined) throw new VmbuildError('USAGE', `--grace takes a time like 7d, not ${options.grace}`);
  if (graceMs < SHORTEST_GRACE_MS && options.writers !== false) {
    throw new VmbuildError('USAGE', `--grace must be at least ${formatSpan(SHORTEST_GRACE_MS)} while others may push`, {
      hints: ['If nobody does, say so: --no-writers'],
    });
  }
  using interrupt = interruptSignal();
  const cache = await openNamedCache(url, interrupt.signal);
  const say = sayer(options);
  const dryRun = options.dryRun === true;
  const summary = await collectCache(cache, {
    targets: await stepsOf(targets, options),
    graceMs,
    dryRun,
    signal: interrupt.signal,
    onRemoved: (path, size) => say({ type: 'removed', path, size, dryRun }, `${path}  ${formatBytes(size)}`),
  });
  const { removed, bytes, kept } = summary;
  say(
    { type: 'result', cache: cache.where, dryRun, ...summary },
    `${formatCount(removed, 'file')} ${dryRun ? 'would be removed' : 'removed'} (${formatBytes(bytes)}), ${kept} kept`,
  );
}

/** The steps of targets; nothing is opened if there are none. */
async function stepsOf(targets: readonly string[], options: GlobalOptions): Promise<readonly Step[]> {
  if (targets.length === 0) return [];
  const { evaluator } = await openContext(options, 'read');
  return evaluateAll(evaluator, targets);
}

function sayer({ json }: CareOptions): (line: object, text: string) => void {
  return (line, text) =>
    void process.stdout.write(json === true ? `${JSON.stringify(line)}\n` : printable(`${text}\n`));
}
