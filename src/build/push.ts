import PQueue from 'p-queue';
import type { SigningKey } from '../attest/keys.ts';
import { parseStatement, signStatement } from '../attest/statements.ts';
import type { Trust } from '../attest/trust.ts';
import { LICENCE_MEANINGS, type LicenceClass, strictest } from '../model/blobSlot.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import { artifactOf, licenceOf, type Realisation } from '../model/realisation.ts';
import type { Store } from '../store/openStore.ts';
import { readStored } from '../store/realisations.ts';
import { changeEnvelopes, changeObject } from '../substituters/appendLines.ts';
import { derivationPath, parseSigners, SIGNERS_PATH, statementsPath } from '../substituters/layout.ts';
import type { ObjectStore } from '../substituters/objectStore.ts';
import type { Step } from './evaluate.ts';
import { topologicalOrder } from './graph.ts';
import type { Plan } from './plan.ts';
import { pushVerifications, refuseDiffering } from './pushVerifications.ts';
import { Uploads } from './uploads.ts';

/** Objects that are written at once: compressing takes the cores, uploading the line. */
const UPLOADS = 4;

/** How a push is to be done. */
export interface PushOptions {
  readonly store: Store;
  readonly cache: ObjectStore;
  readonly key: SigningKey;
  /** What it was built with, too: fetched sources, and the packages or layers of images. */
  readonly sources: boolean;
  /** Also what a verification on record has found other bytes for. */
  readonly allowDiffers: boolean;
  /** Whose verifications count as one on record, beside one's own. */
  readonly trust: Trust;
  readonly signal: AbortSignal;
  /** Told of each object that was written, and of each thing that was left out with the reason. */
  readonly onPushed: (path: string, size: number) => void;
  readonly onLeftOut: (what: string, why: string) => void;
}

/** What a push did. */
export interface PushSummary {
  /** Objects written, and found there already. */
  readonly written: number;
  readonly present: number;
  /** Bytes written. */
  readonly bytes: number;
  /** Statements that this push signed. */
  readonly signed: number;
  /** Verifications that are there now, of this machine and of others. */
  readonly verifications: number;
}

/**
 * Writes the results of targets, and of all that they were made from, to a cache. Own builds are signed; what was taken
 * from others keeps their signatures, and is never called an own build. Whatever names something is written after it, so
 * that a reader at any moment finds all that a statement speaks of.
 *
 * @throws VmbuildError RECIPE_NOT_FOUND if a target is not realised; DIFFERS_ON_RECORD if something is known to come out
 * differently; STATEMENT_CONFLICT if the cache has another result of this key's owner.
 */
export async function push(targets: readonly Step[], plan: Plan, options: PushOptions): Promise<PushSummary> {
  const run = new Push(options);
  for (const target of targets) {
    const planned = plan.find(({ step }) => step.hash === target.hash);
    if (planned?.statement === undefined) {
      throw new VmbuildError('RECIPE_NOT_FOUND', `the store has no result of ${target.target} to push`, {
        hints: [`vmbuild realize ${target.target}`],
      });
    }
  }
  if (!options.allowDiffers) refuseDiffering(plan, options.store, options.trust);
  await run.artifacts(plan);
  if (options.sources) await run.sources();
  const statements = await run.statements(plan);
  await run.graphs(targets, statements);
  return run.summary();
}

class Push {
  readonly #options: PushOptions;
  readonly #queue = new PQueue({ concurrency: UPLOADS });
  readonly #uploads: Uploads;
  /** Steps whose results anybody may have. */
  readonly #shared: Step[] = [];
  /** Those of which the cache has the artifact. */
  readonly #complete = new Set<Digest>();
  #signed = 0;
  #verifications = 0;

  constructor(options: PushOptions) {
    this.#options = options;
    this.#uploads = new Uploads(options);
  }

  summary(): PushSummary {
    const { written, present, bytes } = this.#uploads;
    return { written, present, bytes, signed: this.#signed, verifications: this.#verifications };
  }

  /** Everything that others are about to name. */
  async artifacts(plan: Plan): Promise<void> {
    await this.#all(plan, async ({ step, statement }) => {
      if (statement === undefined) return;
      const licence = strictest([step.licence, licenceOf(statement)]);
      if (licence !== 'may-be-shared') return this.#leaveOut(step, licence);
      this.#shared.push(step);
      if (await this.#uploads.tree(artifactOf(statement))) this.#complete.add(step.hash);
      else this.#options.onLeftOut(step.target, 'its artifact is neither in the store nor in the cache');
    });
  }

  /** What the steps of these artifacts were built with. */
  async sources(): Promise<void> {
    const { sourcesOf, pushSource } = await import('./pushSources.ts');
    const { onLeftOut } = this.#options;
    await this.#all(await sourcesOf(this.#shared), (needed) => pushSource(needed, this.#uploads, onLeftOut));
  }

  #leaveOut({ target }: Step, licence: LicenceClass): void {
    this.#options.onLeftOut(target, `made with vendor blobs: ${licence}, ${LICENCE_MEANINGS[licence]}`);
  }

  /** The statements of all steps whose artifacts are there, by derivation. */
  async statements(plan: Plan): Promise<ReadonlyMap<Digest, readonly Envelope[]>> {
    const all = new Map<Digest, readonly Envelope[]>();
    const complete = plan.filter(({ step }) => this.#complete.has(step.hash));
    await this.#all(complete, async ({ step, buildKey, statement }) => {
      const key = buildKey as Digest;
      const others = readStored(this.#options.store, key)?.envelopes;
      const envelopes = others === undefined ? [await this.#ownStatement(step, key, statement as Realisation)] : others;
      if (others !== undefined) await this.#passOn(key, others);
      const { store, cache, key: signer } = this.#options;
      const verifications = await pushVerifications(key, { store, cache, signer });
      this.#verifications += verifications.length;
      all.set(step.hash, [...envelopes, ...verifications]);
    });
    return all;
  }

  /** Signs a build of this machine, unless that was done before. */
  async #ownStatement(step: Step, key: Digest, statement: Realisation): Promise<Envelope> {
    const { cache, key: signer } = this.#options;
    const path = statementsPath(key, signer.publicKey.id);
    let result: Envelope | undefined;
    await changeEnvelopes(cache, path, (before) => {
      for (const envelope of before) {
        const said = parseStatement(payloadOf(envelope)) as Realisation | undefined;
        if (said?.predicateType !== statement.predicateType) continue;
        if (artifactOf(said) !== artifactOf(statement)) throw contradicts(step, key, said, statement, cache);
        result = envelope;
        return undefined;
      }
      result = signStatement(statement, signer);
      return [...before, result];
    });
    this.#signed += 1;
    return result as Envelope;
  }

  /** Puts what others have signed where it is looked for. */
  async #passOn(key: Digest, envelopes: readonly Envelope[]): Promise<void> {
    for (const envelope of envelopes) {
      for (const { keyid } of envelope.signatures) {
        await changeEnvelopes(this.#options.cache, statementsPath(key, keyid), (before) =>
          before.some(({ payload }) => payload === envelope.payload) ? undefined : [...before, envelope],
        );
      }
    }
  }

  /** Whole graphs by derivation, for whoever asks from the top; and who has pushed. */
  async graphs(targets: readonly Step[], statements: ReadonlyMap<Digest, readonly Envelope[]>): Promise<void> {
    const { cache, key } = this.#options;
    const { id, text } = key.publicKey;
    for (const target of targets) {
      const envelopes = topologicalOrder([target]).flatMap(({ hash }) => statements.get(hash) ?? []);
      if (!statements.has(target.hash)) continue;
      const now = envelopes.map(({ payload }) => payload);
      await changeEnvelopes(cache, derivationPath(target.hash, id), (before) =>
        JSON.stringify(before.map(({ payload }) => payload)) === JSON.stringify(now) ? undefined : envelopes,
      );
    }
    await changeObject(cache, SIGNERS_PATH, (before) => {
      const signers = parseSigners(before);
      return signers[id] === text ? undefined : `${JSON.stringify({ ...signers, [id]: text }, null, 1)}\n`;
    });
  }

  async #all<T>(things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
    const { signal } = this.#options;
    await this.#queue.addAll(
      things.map((thing) => async () => {
        signal.throwIfAborted();
        await work(thing);
      }),
    );
  }
}

function contradicts(
  { target }: Step,
  key: Digest,
  said: Realisation,
  now: Realisation,
  cache: ObjectStore,
): VmbuildError {
  return new VmbuildError(
    'STATEMENT_CONFLICT',
    `${target}: this key has already stated another artifact for build key ${key} in ${cache.where}:\n` +
      `  there: ${artifactOf(said)}, ${said.predicate.runDetails.metadata.startedOn}\n` +
      `  here:  ${artifactOf(now)}, ${now.predicate.runDetails.metadata.startedOn}`,
    {
      step: target,
      hints: [`The step is not reproducible, or one of the builds went wrong: vmbuild realize ${target} --rebuild`],
    },
  );
}
