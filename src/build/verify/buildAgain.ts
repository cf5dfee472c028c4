import { mkdirSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Executor, MountedContent } from '../../executors/executor.ts';
import { temporaryFolder } from '../../io/files.ts';
import { inspectTree } from '../../io/inspectTree.ts';
import { buildKey, type BuildKeyDocument } from '../../model/buildKey.ts';
import type { Digest } from '../../model/digest.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import type { Limits } from '../../model/limits.ts';
import { adoptTree } from '../../store/artifacts.ts';
import type { StoredImage } from '../../store/images.ts';
import { scratchPrefix, type Store } from '../../store/openStore.ts';
import { checkedLimits } from '../checkLimits.ts';
import type { Step } from '../evaluate.ts';
import { hasOutput } from '../hasOutput.ts';
import { howItEnded } from '../howItEnded.ts';
import { writeRecipeFiles } from '../recipeFiles.ts';
import { openStepLog } from '../stepLog.ts';
import type { Surroundings } from './axes.ts';
import { copyInputs } from './copyInputs.ts';

/** A step with all that it needs, in the store. */
export interface Subject {
  readonly step: Step;
  readonly document: BuildKeyDocument;
  /** On record. */
  readonly artifact: Digest;
  readonly image: StoredImage;
  readonly inputs: Readonly<Record<string, MountedContent>>;
}

/** What building again gave. */
export type Outcome =
  | { readonly kind: 'built'; readonly digest: Digest }
  | { readonly kind: 'failed'; readonly reason: string; readonly tail: readonly string[] };

/**
 * Builds a step again in changed surroundings. What the store has is neither touched nor trusted; if the bytes are others
 * they are put beside it, under their own digest, with the log of the build.
 */
export async function buildAgain(
  subject: Subject,
  executor: Executor,
  change: Surroundings,
  options: { readonly store: Store; readonly memoryFolder: string | undefined; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { step, document } = subject;
  const { store, signal } = options;
  const key = buildKey(document);
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const at = (name: string): string => join(scratch.path, name);
  for (const name of ['sandbox', 'recipe']) mkdirSync(at(name), { mode: 0o755 });
  writeRecipeFiles(step.files, at('recipe'));
  await using inputs = await copyInputs(subject.inputs, change.copies, scratch.path, options.memoryFolder);
  using log = openStepLog(at('log'), () => {});
  const keepLog = async (): Promise<void> => {
    log.close();
    await mkdir(store.layout.verifications, { recursive: true });
    await cp(at('log'), verificationLog(store, key));
  };
  let exit: string | undefined;
  let limits: Limits = {};
  try {
    limits = await checkedLimits(step, executor);
    const result = await executor.run({
      name: step.target,
      buildKey: key,
      document,
      image: change.image ?? subject.image,
      recipe: at('recipe'),
      inputs: inputs.contents,
      scratch: at('sandbox'),
      conditions: { cores: change.cores, limits, variations: { ...change.variations, ...inputs.variations } },
      output: log.stream,
      signal,
    });
    if (result.exitCode !== 0) exit = howItEnded(result);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof VmbuildError)) throw error;
    exit = `could not be run: ${errorMessage(error)}`;
  }
  if (exit !== undefined) {
    await keepLog();
    return { kind: 'failed', reason: exit, tail: log.tail() };
  }
  const out = join(at('sandbox'), 'out');
  try {
    if (!hasOutput(out)) return { kind: 'failed', reason: 'left nothing in /out', tail: log.tail() };
    const { digest } = await inspectTree(out, limits.output);
    if (digest !== subject.artifact) {
      await keepLog();
      await adoptTree(store, out, limits.output);
    }
    return { kind: 'built', digest };
  } catch (error) {
    if (!(error instanceof VmbuildError) || !['OUTPUT_INVALID', 'LIMIT_OUTPUT'].includes(error.code)) throw error;
    await keepLog();
    return { kind: 'failed', reason: errorMessage(error), tail: log.tail() };
  }
}

/** Log of the last build of a verification that failed or gave other bytes. */
export function verificationLog({ layout }: Pick<Store, 'layout'>, key: Digest): string {
  return join(layout.verifications, `${key}.log`);
}
