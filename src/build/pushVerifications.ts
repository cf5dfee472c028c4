import type { SigningKey } from '../attest/keys.ts';
import { asVerification, parseStatement, signStatement } from '../attest/statements.ts';
import type { Trust } from '../attest/trust.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Verdict, Verification } from '../model/verification.ts';
import type { Store } from '../store/openStore.ts';
import { readSharedVerifications, readVerifications } from '../store/verifications.ts';
import { changeEnvelopes } from '../substituters/appendLines.ts';
import { statementsPath } from '../substituters/layout.ts';
import type { ObjectStore } from '../substituters/objectStore.ts';
import type { Plan } from './plan.ts';
import { differingOf } from './verificationRecords.ts';

/** Verdicts that tell others something. */
const TELLING: readonly Verdict[] = ['reproduced', 'differs'];

/**
 * Refuses to hand on what is known to come out differently, before anything is written.
 *
 * @throws VmbuildError DIFFERS_ON_RECORD
 */
export function refuseDiffering(plan: Plan, store: Store, trust: Trust): void {
  const found = plan.flatMap(({ step, buildKey }) => {
    const handedOn = buildKey !== undefined && step.licence === 'may-be-shared';
    const differing = handedOn ? differingOf(store, buildKey, trust) : undefined;
    return differing ? [{ target: step.target, ...differing }] : [];
  });
  const [first] = found;
  if (first === undefined) return;
  const lines = found.map(({ target, at, by }) => `  ${target}: ${at}${by === undefined ? '' : `, by ${by}`}`);
  throw new VmbuildError(
    'DIFFERS_ON_RECORD',
    `a verification gave other bytes than what would be pushed:\n${lines.join('\n')}`,
    {
      step: first.target,
      hints: [
        `Find out why: vmbuild verify ${first.target} --depth 0 --bisect`,
        'Push it all the same, and say so in a signed statement: --allow-differs',
      ],
    },
  );
}

/**
 * Signs the last verification on this machine of each verdict that tells something, puts it where it is looked for, in
 * the place of an older one with the same verdict, and passes on what others have signed. Returns all of them.
 */
export async function pushVerifications(
  key: Digest,
  { store, cache, signer }: { readonly store: Store; readonly cache: ObjectStore; readonly signer: SigningKey },
): Promise<readonly Envelope[]> {
  const made = readVerifications(store, key);
  const own = TELLING.flatMap(
    (verdict) => made.findLast(({ predicate }) => predicate.vmbuild.verdict === verdict) ?? [],
  ).map((statement) => signStatement(statement, signer));
  const shared = readSharedVerifications(store, key);
  for (const envelope of own) await putVerification(cache, key, signer.publicKey.id, envelope);
  for (const envelope of shared) {
    for (const { keyid } of envelope.signatures) await putVerification(cache, key, keyid, envelope);
  }
  return [...own, ...shared];
}

async function putVerification(cache: ObjectStore, key: Digest, signer: string, envelope: Envelope): Promise<void> {
  const now = verificationIn(envelope, key);
  await changeEnvelopes(cache, statementsPath(key, signer), (before) => {
    const olds = before.filter((each) => {
      const verdict = verificationIn(each, key)?.predicate.vmbuild.verdict;
      return verdict !== undefined && verdict === now?.predicate.vmbuild.verdict;
    });
    const newer = (each: Envelope): boolean => finished(verificationIn(each, key)) >= finished(now);
    if (olds.some(newer)) return undefined;
    return [...before.filter((each) => !olds.includes(each)), envelope];
  });
}

/** Nobody has verified who said it: only to tell lines of one file apart. */
function verificationIn(envelope: Envelope, key: Digest): Verification | undefined {
  const statement = parseStatement(payloadOf(envelope));
  return statement && asVerification(statement, key);
}

/** Milliseconds since 1970. */
function finished(statement: Verification | undefined): number {
  return statement === undefined ? 0 : Date.parse(statement.predicate.vmbuild.finishedOn);
}
