import type { Digest } from '../../model/digest.ts';
import type { Verification } from '../../model/verification.ts';
import type { Store } from '../../store/openStore.ts';
import { readVerifications } from '../../store/verifications.ts';
import type { VerifyStepOptions } from './verifyStep.ts';

/**
 * The last verification of a build key on this machine, if it says of this artifact all that would be asked now: reproduced, in as
 * many rounds, with every one of the axes, except where it says why one could not be varied. Undefined otherwise: a later
 * one that found other bytes is never passed over.
 */
export function verificationOnRecord(
  store: Store,
  key: Digest,
  artifact: Digest,
  { axes, rounds, strict }: Pick<VerifyStepOptions, 'axes' | 'rounds' | 'strict'>,
): Verification | undefined {
  const last = readVerifications(store, key).at(-1);
  if (last === undefined || last.subject[0].digest.sha256 !== artifact) return undefined;
  const { result, passedTests, vmbuild } = last.predicate;
  const good = result === 'PASSED' || (result === 'WARNED' && !strict);
  const looked = axes.every(({ name }) => passedTests.includes(name) || Object.hasOwn(vmbuild.notVaried, name));
  return good && looked && vmbuild.rounds.length >= rounds ? last : undefined;
}
