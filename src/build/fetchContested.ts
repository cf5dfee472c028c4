import { VmbuildError } from '../model/errors.ts';
import type { Digest } from '../model/digest.ts';
import { formatBytes } from '../model/units.ts';
import { claimTree } from '../store/artifacts.ts';
import type { Store } from '../store/openStore.ts';
import type { Substituter } from '../substituters/substituter.ts';
import type { Challenged, Published } from './challenge.ts';
import { fetchTree } from './fetchTree.ts';
import type { Realisation } from '../model/realisation.ts';

/** Whoever states a size may be lying: what is much larger than one's own is not fetched to look at it. */
const MOST_BYTES = (own: number): number => 4 * own + 64 * 1024 * 1024;

/** Two folders with what two builders have of one step. */
export interface Contested {
  readonly here: { readonly artifact: Digest; readonly path: string };
  readonly published: { readonly artifact: Digest; readonly path: string };
}

/**
 * Brings both sides of a mismatch into the store, each under its own digest: nothing there calls it a result of the step, so
 * nothing is ever built with it, and the next collection takes it away.
 *
 * @throws VmbuildError NOT_REALISED if either cannot be had, CACHE_UNUSABLE if the other one is much too large.
 */
export async function fetchContested(
  { step, local, published }: Challenged,
  caches: readonly Substituter[],
  { store, signal }: { readonly store: Store; readonly signal: AbortSignal },
): Promise<Contested> {
  const own = local ?? published[0];
  const other = published.find(({ artifact }) => artifact !== own?.artifact);
  if (own === undefined || other === undefined) {
    throw new VmbuildError('INTERNAL', `${step.target} was to be compared with itself`);
  }
  const limit = MOST_BYTES(sizeOf(own));
  if (sizeOf(other) > limit) {
    throw new VmbuildError(
      'CACHE_UNUSABLE',
      `${step.target}: the other artifact is said to have ${formatBytes(sizeOf(other))}, and yours has ${formatBytes(sizeOf(own))}; it was not fetched`,
      { step: step.target },
    );
  }
  const bring = async (side: { readonly artifact: Digest; readonly statement: Realisation }): Promise<string> => {
    const digest = side.artifact;
    await store.pins.add([digest]);
    const facts =
      (await claimTree(store, digest)) ?? (await fetchTree({ digest, size: sizeOf(side) }, caches, { store, signal }));
    if (facts !== undefined) return store.layout.tree(digest);
    throw new VmbuildError('NOT_REALISED', `${step.target}: neither the store nor a cache has the artifact ${digest}`, {
      step: step.target,
    });
  };
  return {
    here: { artifact: own.artifact, path: await bring(own) },
    published: { artifact: other.artifact, path: await bring(other) },
  };
}

function sizeOf({ statement }: Pick<Published, 'statement'>): number {
  return statement.subject[0]?.annotations.size ?? 0;
}
