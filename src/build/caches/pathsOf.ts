import PQueue from 'p-queue';
import { buildKey } from '../../model/buildKey.ts';
import type { Digest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf, type Realisation } from '../../model/realisation.ts';
import { artifactPath, derivationPath, SIGNERS_PATH, sourcePath, statementsPath } from '../../substituters/layout.ts';
import type { Source } from '../../model/source.ts';
import type { ObjectStore } from '../../substituters/objectStore.ts';
import type { Step } from '../evaluate.ts';
import { topologicalOrder } from '../graph.ts';
import { keyDocument } from '../plan.ts';
import { sourcesOf } from '../pushSources.ts';
import { namedBy, readEnvelopesAt, readSigners, realisationIn } from './contents.ts';

/** Questions at once: an image has some hundred packages. */
const REQUESTS = 8;

/**
 * Everything in a cache that belongs to the graphs of targets, found by asking for one path after the other; so it works where
 * nothing can be listed. As somebody who takes it from there does, it goes from the top, by the graphs that were pushed, and then
 * step by step, by the build keys that follow from what each signer has.
 *
 * @throws VmbuildError NOT_SUBSTITUTED if nobody has pushed one of the targets: that nothing is wrong with it, or that nothing else
 * is needed, would be no answer.
 */
export async function pathsOf(targets: readonly Step[], cache: ObjectStore): Promise<readonly string[]> {
  const found = new Finder(cache, [...(await readSigners(cache)).keys()]);
  const steps = topologicalOrder(targets);
  for (const { hash } of steps) await found.graph(hash);
  for (const step of steps) await found.step(step);
  for (const { source } of await sourcesOf(steps)) found.source(source);
  const lacking = targets.find(({ hash }) => !found.knows(hash));
  if (lacking !== undefined) {
    throw new VmbuildError(
      'NOT_SUBSTITUTED',
      `nobody has pushed ${lacking.target} to ${cache.where}, as its recipe is now`,
      {
        step: lacking.target,
        hints: [`vmbuild cache push <url> ${lacking.target} from where it was built`],
      },
    );
  }
  return found.paths();
}

/**
 * Everything in a cache, or what belongs to targets if some are given.
 *
 * @throws VmbuildError USAGE if none are given, and the cache cannot list.
 */
export async function pathsIn(cache: ObjectStore, targets: readonly Step[]): Promise<readonly string[]> {
  if (targets.length > 0) return pathsOf(targets, cache);
  if (cache.list === undefined) {
    throw new VmbuildError('USAGE', `${cache.where} cannot tell all that it has`, {
      hints: ['Name the targets that it is about, or do it in the folder itself: file:///…'],
    });
  }
  const paths: string[] = [];
  for await (const { path } of cache.list()) paths.push(path);
  return paths.sort();
}

class Finder {
  readonly #cache: ObjectStore;
  readonly #signers: readonly string[];
  readonly #paths = new Set<string>();
  /** What objects are named, whether or not they are there. */
  readonly #named = new Set<string>();
  /** By derivation, what it is to whom. */
  readonly #artifacts = new Map<Digest, Map<string, Digest>>();
  /** Build keys by derivation that somebody has stated. */
  readonly #keys = new Map<Digest, Set<Digest>>();

  constructor(cache: ObjectStore, signers: readonly string[]) {
    this.#cache = cache;
    this.#signers = signers;
  }

  knows(derivation: Digest): boolean {
    return this.#artifacts.has(derivation);
  }

  /** What everybody says of the whole graph of a derivation. */
  async graph(hash: Digest): Promise<void> {
    for (const signer of this.#signers) {
      for (const statement of await this.#read(derivationPath(hash, signer))) {
        const { derivation } = statement.predicate.buildDefinition.externalParameters;
        this.#take(derivation, signer, statement);
      }
    }
  }

  /** What everybody says of a step, by the build keys that it may have. Its inputs come before it. */
  async step(step: Step): Promise<void> {
    const keys = new Set(this.#keys.get(step.hash));
    for (const signer of this.#signers) {
      const inputs = Object.entries(step.inputs).map(([mount, { hash }]) => {
        const all = this.#artifacts.get(hash);
        return [mount, all?.get(signer) ?? all?.values().next().value] as const;
      });
      const known = inputs.filter((input): input is [string, Digest] => input[1] !== undefined);
      if (known.length === inputs.length) keys.add(buildKey(keyDocument(step, Object.fromEntries(known))));
    }
    for (const key of keys) {
      for (const signer of this.#signers) {
        for (const statement of await this.#read(statementsPath(key, signer))) this.#take(step.hash, signer, statement);
      }
    }
  }

  /** What no statement names: packages of images. */
  source({ kind, digest }: Source): void {
    this.#named.add(kind === 'tree' ? artifactPath(digest) : sourcePath(digest));
  }

  /** Paths of all that is there. */
  async paths(): Promise<readonly string[]> {
    const there: string[] = [];
    const queue = new PQueue({ concurrency: REQUESTS });
    await queue.addAll(
      [...this.#named].map((path) => async () => {
        if ((await this.#cache.stat(path)) !== undefined) there.push(path);
      }),
    );
    return [...there, ...this.#paths, SIGNERS_PATH];
  }

  async #read(path: string): Promise<readonly Realisation[]> {
    const envelopes = await readEnvelopesAt(this.#cache, path);
    if (envelopes.length > 0) this.#paths.add(path);
    return envelopes.flatMap((envelope) => realisationIn(envelope) ?? []);
  }

  #take(derivation: Digest, signer: string, statement: Realisation): void {
    const { artifact, inputs } = namedBy(statement);
    for (const path of [artifact, ...inputs]) this.#named.add(path);
    const artifacts = this.#artifacts.get(derivation) ?? new Map<string, Digest>();
    this.#artifacts.set(derivation, artifacts.set(signer, artifactOf(statement)));
    const keys = this.#keys.get(derivation) ?? new Set<Digest>();
    this.#keys.set(derivation, keys.add(statement.predicate.buildDefinition.internalParameters.buildKey));
  }
}
