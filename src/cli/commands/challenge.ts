import { type Challenged, challenge } from '../../build/challenge.ts';
import { chooseSteps, type StepChoice } from '../../build/chooseSteps.ts';
import { fetchContested } from '../../build/fetchContested.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { Substituter } from '../../substituters/substituter.ts';
import type { Store } from '../../store/openStore.ts';
import { substitutionSettings, type SubstituteOptions } from '../cacheSettings.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatCount } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { challengeJson, challengeText } from '../render/challenge.ts';
import { differenceRecord, differenceText } from '../render/differences.ts';
import type { GlobalOptions } from '../settings.ts';

/** Options of `vmbuild challenge`. */
interface ChallengeCommandOptions
  extends GlobalOptions, Partial<StepChoice>, Pick<SubstituteOptions, 'substituter' | 'offline'> {
  readonly trusted?: boolean;
  readonly diff?: boolean;
  readonly json?: boolean;
}

/**
 * `vmbuild challenge`: compares what was built here with what others have published, by digest.
 *
 * @throws VmbuildError MISMATCH if somebody has published something else, INCONCLUSIVE if of some step it cannot be told.
 */
export async function challengeCommand(targets: readonly string[], options: ChallengeCommandOptions): Promise<void> {
  using interrupt = interruptSignal();
  const { signal } = interrupt;
  const json = options.json === true;
  const say = (line: object, text: string): void =>
    void process.stdout.write(json ? `${JSON.stringify(line)}\n` : text);
  let dropped = 0;
  const { caches, trust } = await substitutionSettings(options, signal, (event) => {
    if (event.type !== 'cache-dropped') return;
    dropped += 1;
    process.stderr.write(`warning: ${event.message}\n`);
  });
  if (caches.length === 0) throw noCaches();
  const { evaluator, store, plan } = await openContext(options, options.diff === true ? 'write' : 'read');
  const wanted = await evaluateAll(evaluator, targets);
  const steps = chooseSteps(wanted, { depth: options.depth, only: options.only });
  const results = await challenge(steps, wanted, await plan(wanted), {
    store,
    caches,
    trust,
    trustedOnly: options.trusted === true,
    warn: (message) => void process.stderr.write(`warning: ${message}\n`),
    dropped: () => dropped,
  });
  for (const result of results) say(challengeJson(result), challengeText(result));
  const count = (verdict: string): number => results.filter((result) => result.verdict === verdict).length;
  const counts = { match: count('match'), mismatch: count('mismatch'), inconclusive: count('inconclusive') };
  if (options.diff === true) await showDifferences(results, caches, { store, signal, json });
  say(
    { type: 'result', caches: caches.map(({ where }) => where), ...counts },
    `${counts.match} of ${formatCount(results.length, 'step')} match` +
      `${counts.mismatch === 0 ? '' : `, ${counts.mismatch} mismatch`}` +
      `${counts.inconclusive === 0 ? '' : `, ${counts.inconclusive} inconclusive`}\n`,
  );
  conclude(results, targets, options);
}

function noCaches(): VmbuildError {
  return new VmbuildError('USAGE', 'there is no cache to ask', {
    hints: ['Name one: --substituter <url>', 'Or configure some: substituters in the configuration (docs/caches.md).'],
  });
}

/** Where others have something else from the same inputs; only if that is nowhere so, what follows from other inputs. */
function causes(results: readonly Challenged[]): readonly Challenged[] {
  const mismatching = results.filter(({ verdict }) => verdict === 'mismatch');
  const same = mismatching.filter(({ published, local, buildKey }) =>
    published.some((each) => each.buildKey === buildKey && each.artifact !== (local ?? published[0])?.artifact),
  );
  return same.length > 0 ? same : mismatching;
}

async function showDifferences(
  results: readonly Challenged[],
  caches: readonly Substituter[],
  { json, ...context }: { readonly store: Store; readonly signal: AbortSignal; readonly json: boolean },
): Promise<void> {
  for (const result of causes(results)) {
    const { here, published } = await fetchContested(result, caches, context);
    const { namedDifferences } = await import('../namedDifferences.ts');
    const { graphOfArtifact } = await import('../subject.ts');
    const sides = { target: result.step.target, here: here.artifact, published: published.artifact };
    if (!json) process.stdout.write(`vmbuild diff ${here.artifact} ${published.artifact}\n`);
    const graph = (): ReturnType<typeof graphOfArtifact> => graphOfArtifact(here.artifact, context);
    for (const difference of await namedDifferences(here.path, published.path, graph, context.store)) {
      const line = json
        ? `${JSON.stringify({ type: 'difference', ...sides, ...differenceRecord(difference) })}\n`
        : `  ${differenceText(difference)}`;
      process.stdout.write(line);
    }
  }
}

function conclude(
  results: readonly Challenged[],
  targets: readonly string[],
  { substituter = [], diff }: ChallengeCommandOptions,
): void {
  const [cause] = causes(results);
  if (cause !== undefined) {
    const { target } = cause.step;
    const from = substituter.map((url) => ` --substituter ${url}`).join('');
    throw new VmbuildError('MISMATCH', `others have published something else than what was built here: ${target}`, {
      step: target,
      hints: [
        ...(diff === true
          ? []
          : [
              `Fetch it and see where it differs: vmbuild challenge ${targets.join(' ')} --only ${target} --diff${from}`,
            ]),
        `Whether it can come out differently: vmbuild verify ${targets.join(' ')} --only ${target}`,
      ],
    });
  }
  const unknown = results.find(({ verdict }) => verdict === 'inconclusive');
  if (unknown === undefined) return;
  throw new VmbuildError(
    'INCONCLUSIVE',
    `whether others have the same of ${unknown.step.target} cannot be told: ${unknown.reason}`,
    {
      step: unknown.step.target,
      hints:
        unknown.local?.built === true
          ? ['Ask more caches: --substituter <url>', 'Only the last step: --depth 0']
          : [`Build it here: vmbuild realize ${targets.join(' ')} --no-substitute, or vmbuild verify`],
    },
  );
}
