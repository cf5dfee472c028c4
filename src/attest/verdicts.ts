import type { Digest } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { Verification } from '../model/verification.ts';
import { asVerification, type TrustedStatement, trustedStatements } from './statements.ts';
import type { Trust } from './trust.ts';

/** What somebody found out by building an artifact again. */
export type SignedVerification = TrustedStatement<Verification>;

/** What those in `trust` have signed about verifications of a build key; whatever else there is, is left out. */
export function verificationsOf(
  envelopes: Iterable<Envelope>,
  key: Digest,
  trust: Trust,
): readonly SignedVerification[] {
  return trustedStatements(envelopes, trust, (statement) => asVerification(statement, key));
}
