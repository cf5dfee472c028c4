import type { Digest } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import { artifactOf, type Realisation } from '../model/realisation.ts';
import { asRealisation, trustedStatements } from './statements.ts';
import type { Trust } from './trust.ts';

/** Somebody's word that a build key gave an artifact, from a build of their own. */
export interface Testimony {
  /** Id of the key; `own` for a build on this machine, or signed with a key of one's own. */
  readonly signer: Digest | 'own';
  readonly statement: Realisation;
  /** Undefined for a build on this machine, which nobody signed yet. */
  readonly envelope: Envelope | undefined;
}

/** What trusted signers say about a build key. Whatever is unsigned, foreign, forged or about something else is left out. */
export function testimoniesOf(envelopes: Iterable<Envelope>, key: Digest, trust: Trust): readonly Testimony[] {
  return trustedStatements(envelopes, trust, (statement) => asRealisation(statement, key));
}

/** A verdict on what was said about one build key. */
export interface Verdict {
  /** Enough signers agree; undefined if it takes more. */
  readonly accepted: readonly Testimony[] | undefined;
  /** Signers who agree so far. */
  readonly agreeing: number;
}

/**
 * Weighs what was said about a build key: the policy holds for each build key by itself, because signers who both took
 * one poisoned tool from elsewhere would agree on what it made.
 *
 * @throws VmbuildError STATEMENT_CONFLICT if two of them differ, or one differs from itself, however few are needed.
 */
export function weigh(target: string, key: Digest, testimonies: readonly Testimony[], trust: Trust): Verdict {
  const first = testimonies[0];
  if (first === undefined) return { accepted: undefined, agreeing: 0 };
  const other = testimonies.find(({ statement }) => artifactOf(statement) !== artifactOf(first.statement));
  if (other !== undefined) throw conflict(target, key, [first, other], trust);
  const agreeing = new Set(testimonies.map(({ signer }) => signer)).size;
  return { accepted: agreeing >= trust.need ? testimonies : undefined, agreeing };
}

/** The error for two that say different things. */
export function conflict(
  target: string,
  key: Digest,
  [one, other]: readonly [Testimony, Testimony],
  trust: Trust,
): VmbuildError {
  const says = (testimony: Testimony): string =>
    `  ${describeSigner(testimony, trust)}: ${artifactOf(testimony.statement)}`;
  return new VmbuildError(
    'STATEMENT_CONFLICT',
    `${target}: builders that are trusted disagree on build key ${key}:\n${says(one)}\n${says(other)}`,
    {
      step: target,
      hints: [
        `Build it here to see who is right: vmbuild realize ${target} --no-substitute`,
        'Then take back the trust in the other one: vmbuild key revoke <name or id>',
      ],
    },
  );
}

/** Who said it, and how they built it. */
export function describeSigner({ signer, statement }: Testimony, { names }: Pick<Trust, 'names'>): string {
  const { builder, metadata } = statement.predicate.runDetails;
  const who =
    signer === 'own' ? 'a build of your own' : `${names.get(signer) ?? 'unnamed key'} (${signer.slice(0, 12)})`;
  const version = builder.version?.['vmbuild'];
  const how = `${builder.id}${version === undefined ? '' : `, vmbuild ${version}`}`;
  return `${who}, ${how}, ${metadata.startedOn}`;
}
