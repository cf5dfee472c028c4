import { buildKeyOf, parseStatement } from '../attest/statements.ts';
import { conflict, type Testimony, testimoniesOf, weigh } from '../attest/testimony.ts';
import { NO_TRUST, type Trust } from '../attest/trust.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import { type ArtifactFacts, artifactOf, filesOf, type Realisation } from '../model/realisation.ts';
import { findTree } from '../store/artifacts.ts';
import type { Store } from '../store/openStore.ts';
import { readStored, recordAbsent, recordRealisation, type StoredRealisation } from '../store/realisations.ts';
import { derivationPath, statementsPath } from '../substituters/layout.ts';
import type { Substituter } from '../substituters/substituter.ts';
import type { Step } from './evaluate.ts';
import type { Emit } from './events.ts';
import { transfer } from './transfer.ts';
import { type Differing, differingOf, keepVerifications } from './verificationRecords.ts';

/** Where results can be had instead of building them, and whom to believe. */
export interface SubstitutionSettings {
  /** In the order in which they are asked. */
  readonly caches: readonly Substituter[];
  readonly trust: Trust;
  /** Execute nothing. */
  readonly only: boolean;
}

/** Takes what others have built, during one run. */
export interface Substitution {
  readonly settings: SubstitutionSettings;
  /** Asks for whole graphs at once, when something has to be asked for. */
  readonly begin: (targets: readonly Step[]) => void;
  /** What the store has on record, if it is a build on this machine, or if the policy still holds for it. */
  readonly known: (target: string, key: Digest) => Realisation | undefined;
  /**
   * What enough of the trusted say about a build key, with or without its artifact in the store. It is put on record.
   *
   * @throws VmbuildError STATEMENT_CONFLICT if they do not agree.
   */
  readonly lookUp: (target: string, key: Digest) => Promise<Realisation | undefined>;
  /** Fetches an artifact that is known; false if no cache has it any more. */
  readonly fetch: (target: string, statement: Realisation) => Promise<boolean>;
  /**
   * Compares a build on this machine with what was heard of it, however few have said it.
   *
   * @throws VmbuildError STATEMENT_CONFLICT
   */
  readonly compare: (own: Realisation) => void;
  /** The last verification on record, made here or by somebody trusted, that found other bytes for a build key. */
  readonly differing: (key: Digest) => Differing | undefined;
}

/** What it works with. */
interface SubstitutionContext {
  readonly store: Store;
  /** Needed where there are caches. */
  readonly emit?: Emit | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Makes the substitution of one run; without settings nobody is asked and nobody is believed. */
export function createSubstitution(
  settings: SubstitutionSettings = { caches: [], trust: NO_TRUST, only: false },
  context: SubstitutionContext,
): Substitution {
  const { store, emit = () => {}, signal = new AbortController().signal } = context;
  const { caches, trust } = settings;
  const heard = new Map<Digest, readonly Testimony[]>();
  const looked = new Map<Digest, Promise<Realisation | undefined>>();
  let targets: readonly Step[] = [];
  let graphs: Promise<ReadonlyMap<Digest, readonly Envelope[]>> | undefined;

  const testimoniesOfStored = ({ statement, envelopes }: StoredRealisation, key: Digest): readonly Testimony[] =>
    envelopes === undefined
      ? [{ signer: 'own', statement, envelope: undefined }]
      : testimoniesOf(envelopes, key, trust);

  const lookUp = async (target: string, key: Digest): Promise<Realisation | undefined> => {
    const stored = readStored(store, key);
    let testimonies = stored === undefined ? [] : testimoniesOfStored(stored, key);
    const told: Envelope[] = [];
    const hear = (envelopes: Iterable<Envelope>): readonly Testimony[] | undefined => {
      told.push(...envelopes);
      testimonies = [...testimonies, ...unheard(testimoniesOf(envelopes, key, trust), testimonies)];
      heard.set(key, testimonies);
      return weigh(target, key, testimonies, trust).accepted;
    };
    let accepted = hear([]);
    if (accepted === undefined) {
      graphs ??= askForGraphs(targets, settings);
      accepted = hear((await graphs).get(key) ?? []);
    }
    for (const cache of caches) {
      if (accepted !== undefined) break;
      accepted = hear(await envelopesAt(cache, trust, (signer) => statementsPath(key, signer)));
    }
    await keepVerifications(store, key, told, trust);
    return accepted && keep(store, accepted);
  };

  return {
    settings,
    begin: (wanted) => {
      targets = wanted;
      graphs = undefined;
    },
    known: (target, key) => {
      const stored = readStored(store, key);
      if (stored === undefined) return undefined;
      if (stored.envelopes === undefined) return stored.statement;
      const { accepted } = weigh(target, key, testimoniesOfStored(stored, key), trust);
      return accepted === undefined ? undefined : stored.statement;
    },
    lookUp: (target, key) => {
      if (caches.length === 0) return Promise.resolve(undefined);
      let found = looked.get(key);
      if (found === undefined) looked.set(key, (found = lookUp(target, key)));
      return found;
    },
    fetch: async (target, statement) => {
      const digest = artifactOf(statement);
      await store.pins.add([digest]);
      if ((await findTree(store, digest)) !== undefined) return true;
      const size = statement.subject[0]?.annotations.size ?? 0;
      const { fetchTree } = await import('./fetchTree.ts');
      const facts = await transfer({ emit }, 'artifact', target, digest, (onProgress) =>
        fetchTree({ digest, size }, caches, { store, signal, onProgress }),
      );
      if (facts !== undefined) checkFacts(target, statement, facts);
      else emit({ type: 'transfer-retried', name: target, message: 'no cache has its artifact any more' });
      return facts !== undefined;
    },
    compare: (own) => {
      const { buildKey } = own.predicate.buildDefinition.internalParameters;
      const mine: Testimony = { signer: 'own', statement: own, envelope: undefined };
      const { target } = own.predicate.buildDefinition.externalParameters;
      for (const other of heard.get(buildKey) ?? []) {
        if (artifactOf(other.statement) !== artifactOf(own)) throw conflict(target, buildKey, [mine, other], trust);
      }
    },
    differing: (key) => differingOf(store, key, trust),
  };
}

/**
 * What the signers have on the graphs of the targets, by build key. Which key belongs to which derivation is never taken
 * from there: keys are computed here, from the inputs upwards, so that each statement stands for itself.
 */
async function askForGraphs(
  targets: readonly Step[],
  { caches, trust }: SubstitutionSettings,
): Promise<ReadonlyMap<Digest, readonly Envelope[]>> {
  const found = new Map<Digest, Envelope[]>();
  await Promise.all(
    targets.map(async ({ hash }) => {
      let signers = 0;
      for (const cache of caches) {
        if (signers >= trust.need) return;
        const answers = await Promise.all(
          [...trust.keys.keys()].map((signer) => cache.envelopes(derivationPath(hash, signer))),
        );
        signers += answers.filter((envelopes) => envelopes.length > 0).length;
        for (const envelope of answers.flat()) {
          const statement = parseStatement(payloadOf(envelope));
          const key = statement && buildKeyOf(statement);
          if (key === undefined) continue;
          const others = found.get(key);
          if (others === undefined) found.set(key, [envelope]);
          else others.push(envelope);
        }
      }
    }),
  );
  return found;
}

async function envelopesAt(
  cache: Substituter,
  trust: Trust,
  pathFor: (signer: string) => string,
): Promise<readonly Envelope[]> {
  const answers = await Promise.all([...trust.keys.keys()].map((signer) => cache.envelopes(pathFor(signer))));
  return answers.flat();
}

/** Those that nobody has said before in the same words. */
function unheard(testimonies: readonly Testimony[], before: readonly Testimony[]): readonly Testimony[] {
  return testimonies.filter(
    ({ signer, envelope }) =>
      !before.some((other) => other.signer === signer && other.envelope?.payload === envelope?.payload),
  );
}

/** Puts what was accepted on record, with all that was signed, so that the policy can be asked again later. */
async function keep(store: Store, accepted: readonly Testimony[]): Promise<Realisation> {
  const { statement } = accepted[0] as Testimony;
  // A build on this machine stays on record as that.
  if (accepted[0]?.envelope === undefined) return statement;
  const envelopes = [...new Set(accepted.flatMap(({ envelope }) => envelope ?? []))];
  if ((await findTree(store, artifactOf(statement))) === undefined) await recordAbsent(store, statement, envelopes);
  else await recordRealisation(store, statement, envelopes);
  return statement;
}

/** What was signed about the files must be so, too: sizes decide whether a flash is large enough. */
function checkFacts(target: string, statement: Realisation, facts: ArtifactFacts): void {
  const stated = filesOf(statement).map(({ name, digest, annotations }) => [name, digest.sha256, annotations.size]);
  const found = facts.files.map(({ name, digest, size }) => [name, digest, size]);
  const size = statement.subject[0]?.annotations.size;
  if (JSON.stringify(stated) === JSON.stringify(found) && size === facts.size) return;
  throw new VmbuildError(
    'STATEMENT_CONFLICT',
    `${target}: what is stated about the files of artifact ${facts.digest} is not so`,
    {
      step: target,
      hints: ['The statement was signed by somebody who is trusted. Build it yourself: --no-substitute'],
    },
  );
}
