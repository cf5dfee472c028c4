import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import type { Realisation } from '../model/realisation.ts';
import { parseRealisation } from '../model/realisationSchema.ts';
import type { Verification } from '../model/verification.ts';
import { parseVerification } from '../model/verificationSchema.ts';
import { signEnvelope, signersOf, STATEMENT_TYPE } from './dsse.ts';
import type { SigningKey } from './keys.ts';
import type { Trust } from './trust.ts';

/** Any in-toto statement; the kinds of predicate are open. */
export interface Statement {
  readonly _type: 'https://in-toto.io/Statement/v1';
  readonly predicateType: string;
}

/** Signs a statement as it stands. */
export function signStatement(statement: Statement, key: SigningKey): Envelope {
  return signEnvelope(STATEMENT_TYPE, Buffer.from(JSON.stringify(statement)), key);
}

/** The statement that an envelope carries, with whoever is trusted and has signed it; undefined if nobody has. */
export interface SignedStatement {
  readonly statement: Statement;
  readonly signers: readonly Digest[];
  readonly envelope: Envelope;
}

/** Opens an envelope. Nothing is read in it before a signature of somebody trusted has been verified. */
export function openEnvelope(envelope: Envelope, trust: Trust): SignedStatement | undefined {
  if (envelope.payloadType !== STATEMENT_TYPE) return undefined;
  const signers = signersOf(envelope, trust.keys);
  if (signers.length === 0) return undefined;
  const statement = parseStatement(payloadOf(envelope));
  return statement && { statement, signers, envelope };
}

/** One trusted signer's statement of a kind. */
export interface TrustedStatement<T> {
  /** Id of the key; `own` for a key of one's own. */
  readonly signer: Digest | 'own';
  readonly statement: T;
  readonly envelope: Envelope;
}

/** What those in `trust` have signed, as far as `read` makes something of it; once for each signer. */
export function trustedStatements<T>(
  envelopes: Iterable<Envelope>,
  trust: Trust,
  read: (statement: Statement) => T | undefined,
): TrustedStatement<T>[] {
  const found: TrustedStatement<T>[] = [];
  for (const envelope of envelopes) {
    const opened = openEnvelope(envelope, trust);
    const statement = opened && read(opened.statement);
    if (opened === undefined || statement === undefined) continue;
    for (const id of opened.signers) found.push({ signer: trust.own.has(id) ? 'own' : id, statement, envelope });
  }
  return found;
}

/** The statement in these bytes, whoever made it: for showing and comparing, never for taking an artifact. */
export function parseStatement(payload: Uint8Array): Statement | undefined {
  try {
    const value = JSON.parse(Buffer.from(payload).toString()) as Partial<Statement> | null;
    const known = value?._type === 'https://in-toto.io/Statement/v1' && typeof value.predicateType === 'string';
    return known ? (value as Statement) : undefined;
  } catch {
    return undefined;
  }
}

/** The build key that a statement is about; undefined if it is neither a realisation nor a verification. Not verified. */
export function buildKeyOf(statement: Statement): Digest | undefined {
  const { predicate } = statement as { readonly predicate?: PartialPredicate };
  return predicate?.buildDefinition?.internalParameters?.buildKey ?? predicate?.vmbuild?.buildKey;
}

/** As much of either predicate as may be there. */
type PartialPredicate = Partial<Realisation['predicate']> & Partial<Verification['predicate']>;

/** The realisation of `key` that a statement is; undefined if it is another kind, about another key, or not sound. */
export function asRealisation(statement: Statement, key: Digest): Realisation | undefined {
  if (statement.predicateType !== 'https://slsa.dev/provenance/v1') return undefined;
  const found = parseRealisation(statement, key);
  return found?.predicate.buildDefinition.buildType === 'urn:vmbuild:build:1' ? found : undefined;
}

/** The verification of `key` that a statement is; undefined if it is another kind, about another key, or not sound. */
export function asVerification(statement: Statement, key: Digest): Verification | undefined {
  if (statement.predicateType !== 'https://in-toto.io/attestation/test-result/v0.1') return undefined;
  return parseVerification(statement, key);
}
