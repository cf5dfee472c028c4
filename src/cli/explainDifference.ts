import type { StepVerdict } from '../build/verify/verifyStep.ts';
import type { Executor } from '../executors/executor.ts';
import { claimImage } from '../store/images.ts';
import type { Store } from '../store/openStore.ts';
import { askDiffoscope, secondOpinionText } from './diffoscope.ts';
import { formatCount } from './format.ts';
import { namedDifferences } from './namedDifferences.ts';
import { differenceRecord, differenceText } from './render/differences.ts';
import type { GlobalOptions } from './settings.ts';
import { graphOfArtifact } from './subject.ts';

/** Differences that are shown of one step; `vmbuild diff` shows all. */
const MOST = 20;

/**
 * Prints where the other bytes of a verification differ from those on record, down to the deepest part. What vmbuild has no reader
 * for, diffoscope looks at if its image is in the store: a verification fetches nothing for it.
 */
export async function explainDifference(
  { key, subject, other }: StepVerdict,
  {
    json,
    ...context
  }: {
    readonly options: GlobalOptions;
    readonly store: Store;
    readonly executor: Executor;
    readonly signal: AbortSignal;
    readonly json: boolean;
  },
): Promise<void> {
  if (other === undefined) return;
  const { store, executor } = context;
  const { target } = subject.step;
  const differences = await namedDifferences(
    store.layout.tree(subject.artifact),
    store.layout.tree(other),
    () => graphOfArtifact(subject.artifact, { store }),
    store,
  );
  const again = `vmbuild diff ${subject.artifact} ${other}`;
  const print = (line: object, text: string): void =>
    void process.stdout.write(json ? `${JSON.stringify({ ...line, target })}\n` : text);
  for (const difference of json ? differences : differences.slice(0, MOST)) {
    const text = differenceText(difference).replaceAll('\n', '\n  ').trimEnd();
    print({ type: 'difference', ...differenceRecord(difference) }, `  ${target}: ${text}\n`);
  }
  const more = differences.length - MOST;
  if (more > 0 && !json) process.stdout.write(`  ${formatCount(more, 'more difference')}: ${again}\n`);
  const opinion = await askDiffoscope(differences, key, {
    ...context,
    executor: () => Promise.resolve(executor),
    image: (locked) => claimImage(store, locked.digest),
  });
  print({ type: 'diffoscope', ...opinion }, secondOpinionText(opinion, `${again} --diffoscope`));
}
