import { exists } from '../../io/files.ts';
import type { Digest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { findTree } from '../artifacts.ts';
import { boundBlobs } from '../blobs.ts';
import { readImageRecord } from '../images.ts';
import type { Store } from '../openStore.ts';
import { readPins } from '../pins.ts';
import { readRoots, type Root } from '../roots.ts';
import { graphOf, type RecordFacts, type RecordIndex } from './recordIndex.ts';

/** What must stay. */
export interface Live {
  /** Digests of artifacts, sources, vendor blobs and images, and build keys. */
  readonly digests: ReadonlySet<string>;
  /** Images of which nobody has noted what they were made of; while there are any, every source that is a file stays. */
  readonly unknownImages: readonly Digest[];
}

/** How much roots keep, and how carefully they are looked at. */
interface MarkOptions {
  /** Take every root for one that keeps its outputs only. */
  readonly outputsOnly: boolean;
  /** See that the artifacts of all roots are there, or known to be collected. */
  readonly thorough: boolean;
}

/**
 * Finds out what must stay: what is pinned, what is bound to a slot, and what the roots keep.
 *
 * @throws VmbuildError STORE_DAMAGED if it cannot be known what a root keeps.
 */
export async function markLive(
  store: Store,
  index: RecordIndex,
  { outputsOnly, thorough }: MarkOptions,
): Promise<Live> {
  // In this order: a process notes its results as roots before it gives up its pins.
  const digests = new Set<string>(readPins(store.layout));
  for (const blob of boundBlobs(store)) digests.add(blob);
  const images = new Set<Digest>();
  for (const root of readRoots(store)) {
    const outputs = outputsOnly || root.outputsOnly;
    for (const key of await keysOf(root, outputs, index)) {
      const facts = await index.find(key);
      if (facts === undefined) throw unknown(root, `there is no realisation of ${key} that can be read`);
      if (thorough) await checkArtifact(store, root, facts);
      digests.add(key).add(facts.artifact);
      if (outputs) continue;
      images.add(facts.image);
      for (const input of facts.inputs) digests.add(input);
    }
  }
  const unknownImages: Digest[] = [];
  for (const image of images) {
    digests.add(image);
    const record = await readImageRecord(store, image);
    if (record !== undefined && record !== 'damaged') for (const source of record.sources) digests.add(source);
    else if (await exists(store.layout.image(image))) unknownImages.push(image);
  }
  return { digests, unknownImages };
}

async function keysOf(root: Root, outputs: boolean, index: RecordIndex): Promise<readonly Digest[]> {
  if (root.buildKey === undefined) return root.steps ?? [];
  if (outputs) return [root.buildKey];
  return root.steps ?? (await graphOf(index, root.buildKey));
}

/** A record that names something else than what is there would let go what it should keep. */
async function checkArtifact(store: Store, root: Root, { key, artifact }: RecordFacts): Promise<void> {
  if ((await findTree(store, artifact)) !== undefined || (await exists(store.layout.collected(artifact)))) return;
  throw unknown(root, `artifact ${artifact} of ${key} is missing`);
}

function unknown({ target, buildKey }: Root, why: string): VmbuildError {
  return new VmbuildError(
    'STORE_DAMAGED',
    `what the root ${target} keeps is not known: ${why}; nothing was collected`,
    {
      step: target,
      hints: [
        'vmbuild store check --repair repairs what it can.',
        `If it is not wanted any more: vmbuild root rm ${buildKey ?? target}`,
      ],
    },
  );
}
