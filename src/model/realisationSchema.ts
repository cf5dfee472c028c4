import * as v from 'valibot';
import { buildKey } from './buildKey.ts';
import { isDigest, type Digest } from './digest.ts';
import type { Realisation } from './realisation.ts';

const digest = v.pipe(
  v.string(),
  v.check((text) => isDigest(text)),
);
const time = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text))),
);

/** What vmbuild relies on in a statement; the rest is for others. */
const statementSchema = v.looseObject({
  subject: v.pipe(
    v.array(
      v.looseObject({
        name: v.string(),
        digest: v.looseObject({ sha256: digest }),
        annotations: v.looseObject({ size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
      }),
    ),
    v.minLength(1),
  ),
  predicate: v.looseObject({
    buildDefinition: v.looseObject({
      externalParameters: v.looseObject({ target: v.string(), derivation: digest }),
      internalParameters: v.looseObject({ buildKey: digest, document: v.looseObject({}) }),
    }),
    runDetails: v.looseObject({
      builder: v.looseObject({ id: v.string() }),
      metadata: v.looseObject({ startedOn: time, finishedOn: time }),
    }),
  }),
});

/** The realisation of `key` in a parsed JSON value; undefined if it is none that can be believed as a whole. */
export function parseRealisation(value: unknown, key: Digest): Realisation | undefined {
  if (!v.is(statementSchema, value)) return undefined;
  const statement = value as unknown as Realisation;
  const { internalParameters } = statement.predicate.buildDefinition;
  // The key must be that of the document which stands beside it, too.
  if (internalParameters.buildKey !== key || buildKey(internalParameters.document) !== key) return undefined;
  return statement;
}
