import type { Digest } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { Verification } from '../model/verification.ts';
import { asVerification, openEnvelope } from './statements.ts';
import type { Trust } from './trust.ts';

/** What somebody found out by building an artifact again. */
export interface SignedVerification {
  /** Id of the key; `own` for a key of one's own. */
  readonly signer: Digest | 'own';
  readonly statement: Verification;
  readonly envelope: Envelope;
}

/** What those in `trust` have signed about verifications of a build key; whatever else there is, is left out. */
export function verificationsOf(
  envelopes: Iterable<Envelope>,
  key: Digest,
  trust: Trust,
): readonly SignedVerification[] {
  const found: SignedVerification[] = [];
  for (const envelope of envelopes) {
    const opened = openEnvelope(envelope, trust);
    const statement = opened && asVerification(opened.statement, key);
    if (opened === undefined || statement === undefined) continue;
    for (const id of opened.signers) found.push({ signer: trust.own.has(id) ? 'own' : id, statement, envelope });
  }
  return found;
}
