import * as v from 'valibot';
import { type Digest, isDigest } from './digest.ts';
import type { Verification } from './verification.ts';

const digest = v.pipe(
  v.string(),
  v.check((text) => isDigest(text)),
);
const names = v.array(v.string());

/** What vmbuild relies on in a statement of a verification; the rest is for others. */
const statementSchema = v.looseObject({
  subject: v.tuple([v.looseObject({ digest: v.looseObject({ sha256: digest }) })]),
  predicate: v.looseObject({
    result: v.picklist(['PASSED', 'WARNED', 'FAILED']),
    passedTests: names,
    warnedTests: names,
    failedTests: names,
    vmbuild: v.looseObject({
      target: v.string(),
      buildKey: digest,
      verdict: v.picklist(['reproduced', 'differs', 'inconclusive']),
      rounds: v.array(v.nullable(digest)),
      executors: names,
      version: v.string(),
      finishedOn: v.pipe(
        v.string(),
        v.check((text) => !Number.isNaN(Date.parse(text))),
      ),
    }),
  }),
});

/** The verification of `key` in a parsed JSON value; undefined if it is none that can be believed as a whole. */
export function parseVerification(value: unknown, key: Digest): Verification | undefined {
  if (!v.is(statementSchema, value)) return undefined;
  const statement = value as unknown as Verification;
  const { verdict, buildKey, rounds } = statement.predicate.vmbuild;
  if (buildKey !== key) return undefined;
  // Its rounds must bear the verdict out. One that was reproduced with a warning was built once more without hardening axes,
  // which is not among them.
  const artifact = verifiedArtifact(statement);
  const contradicted =
    (verdict === 'differs' && rounds.every((round) => round === null || round === artifact)) ||
    (verdict === 'reproduced' && !rounds.includes(artifact) && statement.predicate.result !== 'WARNED');
  if (contradicted) return undefined;
  return statement;
}

/** The artifact that was built again. */
export function verifiedArtifact({ subject }: Verification): Digest {
  return subject[0].digest.sha256;
}
