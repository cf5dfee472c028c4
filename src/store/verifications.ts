import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, isEnvelope } from '../model/envelope.ts';
import { explainSystemError, systemErrorCode, unreadable } from '../model/errors.ts';
import type { Verification } from '../model/verification.ts';
import { stagingPath, type Store } from './openStore.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

/** Verifications of one build key that are kept. */
const KEPT = 20;

const NOTHING: VerificationRecord = { verifications: [], shared: [] };

/** What is on record of the verifications of a build key. */
interface VerificationRecord {
  /** Made on this machine, the oldest first. */
  readonly verifications: readonly Verification[];
  /** What others have signed, as it came: whoever reads it asks whether they are trusted. */
  readonly shared: readonly Envelope[];
}

function readRecord(store: Pick<Store, 'layout'>, key: Digest): VerificationRecord {
  const path = store.layout.verification(key);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return NOTHING;
    throw unreadable(path, error);
  }
  const { verifications, shared = [] } = unsealRecord(text, []) ?? {};
  if (!Array.isArray(verifications) || !Array.isArray(shared) || !shared.every(isEnvelope)) return NOTHING;
  return { verifications: verifications as readonly Verification[], shared };
}

async function writeRecord(store: Store, key: Digest, record: VerificationRecord): Promise<void> {
  const { verifications, shared } = record;
  try {
    const sealed = sealRecord({ verifications, ...(shared.length === 0 ? {} : { shared }) });
    await writeFileAtomic(store.layout.verification(key), sealed, stagingPath(store));
  } catch (error) {
    throw explainSystemError(error, 'recording a verification');
  }
}

/** The verifications of a build key on this machine, the oldest first. None if there are none that can be believed. */
export function readVerifications(store: Pick<Store, 'layout'>, key: Digest): readonly Verification[] {
  return readRecord(store, key).verifications;
}

/** What others have signed about verifications of a build key of their own. Nobody has verified it again since it came. */
export function readSharedVerifications(store: Pick<Store, 'layout'>, key: Digest): readonly Envelope[] {
  return readRecord(store, key).shared;
}

/** Adds one. The last that says `differs` is never forgotten for later ones. */
export async function recordVerification(store: Store, key: Digest, statement: Verification): Promise<void> {
  const { verifications, shared } = readRecord(store, key);
  const all = [...verifications, statement];
  const lastDiffering = all.findLastIndex((each) => each.predicate.vmbuild.verdict === 'differs');
  await writeRecord(store, key, {
    verifications: all.filter((_, index) => index >= all.length - KEPT || index === lastDiffering),
    shared,
  });
}

/** Adds what others have signed; writes nothing if all of it is there. */
export async function recordSharedVerifications(
  store: Store,
  key: Digest,
  envelopes: readonly Envelope[],
): Promise<void> {
  const { verifications, shared } = readRecord(store, key);
  const added = envelopes.filter(({ payload }) => !shared.some((each) => each.payload === payload));
  if (added.length === 0) return;
  await writeRecord(store, key, { verifications, shared: [...shared, ...added].slice(-KEPT) });
}

/** The last verification of a build key that found other bytes, if there is one. */
export function differingVerification(store: Pick<Store, 'layout'>, key: Digest): Verification | undefined {
  return readVerifications(store, key).findLast(({ predicate }) => predicate.vmbuild.verdict === 'differs');
}
