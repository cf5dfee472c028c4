import { parsePublicKey, type PublicKey } from '../../attest/keys.ts';
import { asRealisation, buildKeyOf, parseStatement } from '../../attest/statements.ts';
import { type Envelope, parseEnvelopes, payloadOf } from '../../model/envelope.ts';
import { artifactOf, type Realisation } from '../../model/realisation.ts';
import {
  artifactPath,
  kindOfPath,
  parseSigners,
  SIGNERS_PATH,
  sourcePath,
  STATEMENTS_LIMIT,
} from '../../substituters/layout.ts';
import type { ObjectStore } from '../../substituters/objectStore.ts';

/** The keys of all who have pushed to a cache, by id. They say who is meant, and not that anybody is right. */
export async function readSigners(cache: ObjectStore): Promise<ReadonlyMap<string, PublicKey>> {
  const listed = await cache.read(SIGNERS_PATH, STATEMENTS_LIMIT);
  const keys = new Map<string, PublicKey>();
  for (const text of Object.values(parseSigners(listed?.bytes.toString() ?? ''))) {
    try {
      const key = parsePublicKey(text);
      keys.set(key.id, key);
    } catch {
      // No key, so nobody who could have signed anything.
    }
  }
  return keys;
}

/** The envelopes at a path; none if there is nothing. @throws TypeError for what holds none. */
export async function readEnvelopesAt(cache: ObjectStore, path: string): Promise<readonly Envelope[]> {
  const object = await cache.read(path, STATEMENTS_LIMIT);
  return parseEnvelopes(object?.bytes.toString() ?? '');
}

/** The realisation that an envelope carries, whoever signed it; undefined if it is another kind, or not sound. */
export function realisationIn(envelope: Envelope): Realisation | undefined {
  const statement = parseStatement(payloadOf(envelope));
  const key = statement && buildKeyOf(statement);
  return statement === undefined || key === undefined ? undefined : asRealisation(statement, key);
}

/** What a realisation names. Its artifact should be in the cache; of what it was made from, whatever was pushed. */
export interface Named {
  readonly artifact: string;
  /** Bytes that the artifact unpacks to. */
  readonly size: number;
  readonly inputs: readonly string[];
}

/** The paths of what a realisation names. */
export function namedBy(statement: Realisation): Named {
  const { inputs } = statement.predicate.buildDefinition.internalParameters.document;
  return {
    artifact: artifactPath(artifactOf(statement)),
    size: statement.subject[0]?.annotations.size ?? 0,
    inputs: Object.values(inputs).map(({ kind, digest }) =>
      kind === 'tree' ? artifactPath(digest) : sourcePath(digest),
    ),
  };
}

/** Paths in the order in which they may be written: nothing before what it names. */
export function inOrder(paths: readonly string[]): readonly string[] {
  const rank = (path: string): number =>
    kindOfPath(path) === 'immutable' ? 0 : path.startsWith('statements/') ? 1 : path === SIGNERS_PATH ? 3 : 2;
  return paths.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
