import { resolve } from 'node:path';
import { createProvisioner } from '../../build/provision.ts';
import { exists } from '../../io/files.ts';
import { isDigest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { claimTree } from '../../store/artifacts.ts';
import { type ExecutorChoice, executorChooser } from '../chooseExecutor.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { type Context, openContext } from '../context.ts';
import { askDiffoscope, type SecondOpinion, secondOpinionText } from '../diffoscope.ts';
import { formatCount } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type NamedDifference, namedDifferences } from '../namedDifferences.ts';
import { differenceRecord, differenceText } from '../render/differences.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';
import { graphOfArtifact, graphOfTarget, type Made } from '../subject.ts';

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
  const [was, is] = [await find(before, context), await find(after, context)];
  const differences = await namedDifferences(was.path, is.path, was.graph, context.store);
  const json = options.json === true;
  for (const difference of differences) {
    process.stdout.write(json ? `${JSON.stringify(differenceRecord(difference))}\n` : differenceText(difference));
  }
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
  differences: readonly NamedDifference[],
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

/** One side of a comparison. */
interface Side {
  readonly path: string;
  /** What it was made of; nothing for a file from elsewhere. */
  readonly graph: () => Promise<readonly Made[]>;
}

/** A path stays what it is; a digest and a target are artifacts of the store. */
async function find(what: string, context: Context): Promise<Side> {
  const { store } = context;
  if (isDigest(what)) {
    const path = await claimTree(store, what);
    if (path !== undefined) return { path, graph: () => graphOfArtifact(what, context) };
    throw new VmbuildError('NOT_REALISED', `the store has no artifact ${what}`);
  }
  if (await exists(resolve(what))) return { path: resolve(what), graph: () => Promise.resolve([]) };
  const graph = await graphOfTarget(what, context);
  const artifact = graph.at(-1)?.artifact;
  const path = artifact && (await claimTree(store, artifact));
  if (path !== undefined) return { path, graph: () => Promise.resolve(graph) };
  throw new VmbuildError('NOT_REALISED', `the store has no artifact ${what}`, { hints: [`vmbuild realize ${what}`] });
}
