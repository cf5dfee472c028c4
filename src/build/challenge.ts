import { asRealisation, buildKeyOf, openEnvelope, parseStatement } from '../attest/statements.ts';
import { type SignedVerification, verificationsOf } from '../attest/verdicts.ts';
import type { Trust } from '../attest/trust.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import { artifactOf, type Realisation } from '../model/realisation.ts';
import { verifiedArtifact } from '../model/verificationSchema.ts';
import type { Store } from '../store/openStore.ts';
import { readStored } from '../store/realisations.ts';
import { readVerifications } from '../store/verifications.ts';
import { derivationPath, statementsPath } from '../substituters/layout.ts';
import type { Substituter } from '../substituters/substituter.ts';
import type { Step } from './evaluate.ts';
import { type Everybody, findEverybody, type Heard } from './everybody.ts';
import { type ChallengeVerdict, judge } from './judge.ts';
import type { Plan, PlannedStep } from './plan.ts';

/** What a challenge needs. */
export interface ChallengeOptions {
  readonly store: Store;
  readonly caches: readonly Substituter[];
  readonly trust: Trust;
  /** Only those who are trusted are listened to. */
  readonly trustedOnly: boolean;
  readonly warn: (message: string) => void;
  /** Number of caches that had to be given up so far. */
  readonly dropped: () => number;
}

/** Whoever has said something. */
export interface Speaker {
  /** Key id. */
  readonly signer: Digest;
  /** What the user calls them. */
  readonly name: string | undefined;
  readonly trusted: boolean;
  /** A key of the user's own. */
  readonly own: boolean;
  /** Addresses of the caches that have it. */
  readonly caches: readonly string[];
}

/** Somebody's result of a step. */
export interface Published extends Speaker {
  readonly artifact: Digest;
  /** Another than one's own if it was made from other inputs, by the same recipe. */
  readonly buildKey: Digest;
  readonly statement: Realisation;
}

/** What somebody found out by building a step again. */
export interface PublishedVerification extends Speaker {
  readonly statement: SignedVerification['statement'];
}

/** One step, compared. */
export interface Challenged {
  readonly step: Step;
  readonly buildKey: Digest | undefined;
  readonly verdict: ChallengeVerdict;
  /** Why it is inconclusive. */
  readonly reason: string | undefined;
  readonly local: { readonly artifact: Digest; readonly built: boolean; readonly statement: Realisation } | undefined;
  readonly published: readonly Published[];
  readonly verifications: readonly PublishedVerification[];
  /** Lines that nobody whose key is known has signed. */
  readonly unverified: number;
}

/**
 * Compares what the store has of some steps of a plan with what others have published of them. Only statements are fetched. Nothing is
 * taken from them, so everybody who has signed something is heard.
 */
export async function challenge(
  steps: readonly Step[],
  targets: readonly Step[],
  plan: Plan,
  options: ChallengeOptions,
): Promise<readonly Challenged[]> {
  const { caches, trust, warn } = options;
  const everybody = await findEverybody(caches, trust, warn);
  const planned = steps.map((step) => plan.find((each) => each.step.hash === step.hash) as PlannedStep);
  const heard = await everybody.ask((signer) => [
    ...targets.map(({ hash }) => derivationPath(hash, signer)),
    ...planned.flatMap(({ buildKey }) => (buildKey === undefined ? [] : [statementsPath(buildKey, signer)])),
  ]);
  const sorted = sortByStep(planned, heard);
  // Whoever has pushed a part of the graph only, made from other inputs, is found by that part's derivation.
  const unheard = planned.filter((each) => sorted.get(each)?.envelopes.size === 0);
  const more = await everybody.ask((signer) => unheard.map(({ step }) => derivationPath(step.hash, signer)));
  const all = sortByStep(planned, [...heard, ...more]);
  return planned.map((each) => compare(each, all.get(each) as Said, everybody, options));
}

/** What concerns one step, of all that was heard: the envelopes by their text, each with the caches that have it. */
interface Said {
  readonly envelopes: Map<string, { readonly envelope: Envelope; readonly key: Digest; readonly caches: Set<string> }>;
  unreadable: number;
}

function sortByStep(planned: readonly PlannedStep[], heard: readonly Heard[]): ReadonlyMap<PlannedStep, Said> {
  const sorted = new Map(planned.map((each): [PlannedStep, Said] => [each, { envelopes: new Map(), unreadable: 0 }]));
  const byKey = new Map(planned.map((each) => [each.buildKey, each]));
  const byDerivation = new Map(planned.map((each) => [each.step.hash, each]));
  for (const { cache, path, envelopes, unreadable } of heard) {
    const named = path.split('/')[1] as Digest;
    const about = sorted.get((byKey.get(named) ?? byDerivation.get(named)) as PlannedStep);
    if (about !== undefined) about.unreadable += unreadable;
    for (const envelope of envelopes) {
      const statement = parseStatement(payloadOf(envelope));
      const key = statement && buildKeyOf(statement);
      if (statement === undefined || key === undefined) continue;
      const derivation = asRealisation(statement, key)?.predicate.buildDefinition.externalParameters.derivation;
      const owner = byKey.get(key) ?? (derivation && byDerivation.get(derivation));
      const said = owner && sorted.get(owner);
      if (said === undefined) continue;
      const name = JSON.stringify(envelope);
      const known = said.envelopes.get(name);
      if (known === undefined) said.envelopes.set(name, { envelope, key, caches: new Set([cache]) });
      else known.caches.add(cache);
    }
  }
  return sorted;
}

function compare(
  { step, buildKey, statement }: PlannedStep,
  { envelopes, unreadable }: Said,
  { keys }: Everybody,
  { store, trust, trustedOnly, dropped }: ChallengeOptions,
): Challenged {
  const published: Published[] = [];
  const verifications: PublishedVerification[] = [];
  let unverified = unreadable;
  for (const { envelope, key, caches } of envelopes.values()) {
    const signers = openEnvelope(envelope, keys)?.signers ?? [];
    if (signers.length === 0) unverified += 1;
    const parsed = parseStatement(payloadOf(envelope));
    const realisation = parsed && asRealisation(parsed, key);
    for (const signer of signers) {
      const own = trust.own.has(signer);
      const speaker = { signer, name: trust.names.get(signer), trusted: trust.keys.has(signer), own };
      if (trustedOnly && !speaker.trusted) continue;
      const from = { ...speaker, caches: [...caches] };
      if (realisation !== undefined) {
        published.push({ ...from, artifact: artifactOf(realisation), buildKey: key, statement: realisation });
      }
      const [verified] = realisation === undefined ? verificationsOf([envelope], key, keys) : [];
      if (verified !== undefined) verifications.push({ ...from, statement: verified.statement });
    }
  }
  const local = statement && {
    artifact: artifactOf(statement),
    built: builtHere(store, buildKey as Digest, artifactOf(statement)),
    statement,
  };
  const restricted = step.licence !== 'may-be-shared';
  const { verdict, reason } = judge({ local, published, unverified, restricted, unasked: dropped() });
  return { step, buildKey, verdict, reason, local, published, verifications, unverified };
}

/** A build on this machine gave these bytes: the one on record, or one of a verification of what was taken from others. */
function builtHere(store: Store, key: Digest, artifact: Digest): boolean {
  const stored = readStored(store, key);
  if (stored !== undefined && stored.envelopes === undefined) return true;
  return readVerifications(store, key).some(
    (each) =>
      verifiedArtifact(each) === artifact &&
      each.predicate.vmbuild.verdict === 'reproduced' &&
      each.predicate.vmbuild.rounds.includes(artifact),
  );
}
