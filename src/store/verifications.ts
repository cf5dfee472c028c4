import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import { explainSystemError, systemErrorCode, unreadable } from '../model/errors.ts';
import type { Verification } from '../model/verification.ts';
import { stagingPath, type Store } from './openStore.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

/** Verifications of one build key that are kept. */
const KEPT = 20;

/** The verifications of a build key, the oldest first. None if there are none, or none that can be believed. */
export function readVerifications(store: Pick<Store, 'layout'>, key: Digest): readonly Verification[] {
  const path = store.layout.verification(key);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return [];
    throw unreadable(path, error);
  }
  const { verifications } = unsealRecord(text, []) ?? {};
  return Array.isArray(verifications) ? (verifications as readonly Verification[]) : [];
}

/** Adds one. The last that says `differs` is never forgotten for later ones. */
export async function recordVerification(store: Store, key: Digest, statement: Verification): Promise<void> {
  const all = [...readVerifications(store, key), statement];
  const lastDiffering = all.findLastIndex((each) => each.predicate.vmbuild.verdict === 'differs');
  const verifications = all.filter((_, index) => index >= all.length - KEPT || index === lastDiffering);
  try {
    await writeFileAtomic(store.layout.verification(key), sealRecord({ verifications }), stagingPath(store));
  } catch (error) {
    throw explainSystemError(error, 'recording a verification');
  }
}

/** The last verification of a build key that found other bytes, if there is one. */
export function differingVerification(store: Pick<Store, 'layout'>, key: Digest): Verification | undefined {
  return readVerifications(store, key).findLast(({ predicate }) => predicate.vmbuild.verdict === 'differs');
}
