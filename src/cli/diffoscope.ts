import { DIFFOSCOPE_IMAGE, type DiffoscopeOutcome, runDiffoscope, type UnknownPair } from '../build/diffoscope.ts';
import type { LockedImage } from '../build/evaluate.ts';
import { createImageCatalog } from '../build/images.ts';
import type { Executor } from '../executors/executor.ts';
import type { PathDifference } from '../firmware/diffPaths.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import { printable } from '../model/printable.ts';
import type { StoredImage } from '../store/images.ts';
import type { Store } from '../store/openStore.ts';
import { type GlobalOptions, projectRoots } from './settings.ts';

/** What a second look needs. */
interface SecondLook {
  readonly options: GlobalOptions;
  readonly store: Store;
  readonly executor: () => Promise<Executor>;
  /** The image in the store; undefined if it is not there and was not asked for. */
  readonly image: (locked: LockedImage) => Promise<StoredImage | undefined>;
  readonly signal: AbortSignal;
}

/** What came of it. `no-need`: vmbuild reads all that differs. `no-image`: diffoscope is not here, and nobody asked for it. */
export type SecondOpinion = (DiffoscopeOutcome | { readonly kind: 'no-need' } | { readonly kind: 'no-image' }) & {
  readonly files: readonly string[];
};

/**
 * Has diffoscope compare what vmbuild has no reader for. It is an extra: whatever keeps it from running is an outcome, and what
 * vmbuild has found by itself stands.
 *
 * @param about the build key of which the reports are kept; undefined for any two files.
 */
export async function askDiffoscope(
  differences: readonly PathDifference[],
  about: Digest | undefined,
  { options, store, executor, image, signal }: SecondLook,
): Promise<SecondOpinion> {
  const pairs = differences.flatMap(({ path, unread }) =>
    unread === undefined ? [] : [{ name: path.join(' → '), ...unread }],
  );
  const files = pairs.map(({ name }) => name);
  if (pairs.length === 0) return { kind: 'no-need', files };
  try {
    const locked = await createImageCatalog(projectRoots(options))(DIFFOSCOPE_IMAGE, 'diffoscope');
    const stored = await image(locked);
    if (stored === undefined) return { kind: 'no-image', files };
    const { digest } = locked;
    const outcome = await runDiffoscope(pairs, about ?? digestOf(pairs), {
      image: stored,
      digest,
      executor: await executor(),
      store,
      signal,
    });
    return { ...outcome, files };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof VmbuildError)) throw error;
    return { kind: 'failed', reason: `${error.code}: ${errorMessage(error)}`, files };
  }
}

/** Stands for what was compared, where no build key does. */
function digestOf(pairs: readonly UnknownPair[]): Digest {
  return sha256(pairs.map(({ before, after }) => `${sha256(before)} ${sha256(after)}\n`).join(''));
}

/** The same for people; `again` is the command that asks for it. */
export function secondOpinionText(opinion: SecondOpinion, again: string): string {
  const files = opinion.files.join(', ');
  switch (opinion.kind) {
    case 'no-need':
      return '';
    case 'no-image':
      return `vmbuild has no reader for ${printable(files)}; diffoscope may: ${again}\n`;
    case 'failed':
      return `diffoscope did not compare ${printable(files)}: ${indented(opinion.reason)}\n`;
    case 'compared':
      return `diffoscope on ${printable(files)}:\n    ${indented(opinion.excerpt.join('\n'))}\n  ${opinion.text}\n  ${opinion.html}\n`;
  }
}

function indented(text: string): string {
  return printable(text).trimEnd().replaceAll('\n', '\n    ');
}
