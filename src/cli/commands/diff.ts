import { resolve } from 'node:path';
import { planSteps } from '../../build/plan.ts';
import { createProvisioner } from '../../build/provision.ts';
import { diffPaths, type PathDifference } from '../../firmware/diffPaths.ts';
import { exists } from '../../io/files.ts';
import { isDigest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf } from '../../model/realisation.ts';
import { claimTree } from '../../store/artifacts.ts';
import { type ExecutorChoice, executorChooser } from '../chooseExecutor.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { type Context, openContext } from '../context.ts';
import { askDiffoscope, type SecondOpinion, secondOpinionText } from '../diffoscope.ts';
import { formatCount } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { differenceText } from '../render/differences.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';

/** Options of `vmbuild diff`. */
interface DiffOptions extends GlobalOptions, FetchOptions {
  readonly diffoscope?: boolean;
  readonly executor: ExecutorChoice;
  readonly json?: boolean;
}

/**
 * `vmbuild diff`: where two artifacts, files or folders differ.
 *
 * @throws VmbuildError DIFFERENT if they do.
 */
export async function diffCommand(before: string, after: string, options: DiffOptions): Promise<void> {
  const context = await openContext(options, 'write');
  const [was, is] = [await pathOf(before, context), await pathOf(after, context)];
  const differences = diffPaths(was, is);
  const json = options.json === true;
  for (const difference of differences) process.stdout.write(differenceText(difference, json));
  if (differences.length === 0) {
    if (!json) process.stdout.write('the same bytes\n');
    return;
  }
  const again = `vmbuild diff ${before} ${after} --diffoscope`;
  if (options.diffoscope === true) {
    const opinion = await secondOpinion(differences, context, options);
    process.stdout.write(json ? `${JSON.stringify({ diffoscope: opinion })}\n` : secondOpinionText(opinion, again));
  }
  const unread = options.diffoscope !== true && differences.some((difference) => difference.unread !== undefined);
  throw new VmbuildError(
    'DIFFERENT',
    `${formatCount(differences.length, 'difference')} between ${before} and ${after}`,
    { hints: unread ? [`vmbuild has no reader for some of it; diffoscope may: ${again}`] : [] },
  );
}

async function secondOpinion(
  differences: readonly PathDifference[],
  { store }: Context,
  options: DiffOptions,
): Promise<SecondOpinion> {
  using interrupt = interruptSignal();
  using renderer = chooseRenderer(options.json === true);
  const { signal } = interrupt;
  const { emit } = renderer;
  await using provisioner = createProvisioner({ store, fetch: await fetchSettings(options), emit, signal });
  return await askDiffoscope(differences, undefined, {
    options,
    store,
    executor: executorChooser(options.executor, store, emit),
    image: (locked) => provisioner.image(locked),
    signal,
  });
}

/** A path stays what it is; a digest and a target are artifacts of the store. */
async function pathOf(what: string, { evaluator, store }: Context): Promise<string> {
  if (isDigest(what)) {
    const path = await claimTree(store, what);
    if (path !== undefined) return path;
    throw new VmbuildError('NOT_REALISED', `the store has no artifact ${what}`);
  }
  if (await exists(resolve(what))) return resolve(what);
  const plan = await planSteps([await evaluator.evaluate(what)], store);
  const statement = plan.at(-1)?.statement;
  const path = statement && (await claimTree(store, artifactOf(statement)));
  if (path !== undefined) return path;
  throw new VmbuildError('NOT_REALISED', `${what} is not in the store as its recipe is now`, {
    hints: [`vmbuild realize ${what}`],
  });
}
