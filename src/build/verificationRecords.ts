import type { Trust } from '../attest/trust.ts';
import { verificationsOf } from '../attest/verdicts.ts';
import type { Digest } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { Store } from '../store/openStore.ts';
import { differingVerification, readSharedVerifications, recordSharedVerifications } from '../store/verifications.ts';

/** A verification that found other bytes than those on record. */
export interface Differing {
  /** RFC 3339. */
  readonly at: string;
  /** Whose it was, for people; undefined for one on this machine. */
  readonly by: string | undefined;
}

/** The last verification on record that found other bytes: made here, or by somebody who is trusted today. */
export function differingOf(store: Pick<Store, 'layout'>, key: Digest, trust: Trust): Differing | undefined {
  const own = differingVerification(store, key);
  if (own !== undefined) return { at: own.predicate.vmbuild.finishedOn, by: undefined };
  const shared = readSharedVerifications(store, key);
  const others = shared.length === 0 ? [] : verificationsOf(shared, key, trust);
  const last = others.findLast(({ statement }) => statement.predicate.vmbuild.verdict === 'differs');
  if (last === undefined) return undefined;
  const name = last.signer === 'own' ? 'a key of your own' : (trust.names.get(last.signer) ?? last.signer.slice(0, 12));
  return { at: last.statement.predicate.vmbuild.finishedOn, by: name };
}

/** Keeps what somebody trusted has found out about a build key, of all that was heard of it. */
export async function keepVerifications(
  store: Store,
  key: Digest,
  heard: readonly Envelope[],
  trust: Trust,
): Promise<void> {
  const envelopes = new Set(verificationsOf(heard, key, trust).map(({ envelope }) => envelope));
  if (envelopes.size > 0) await recordSharedVerifications(store, key, [...envelopes]);
}
