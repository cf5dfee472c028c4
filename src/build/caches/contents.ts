import { parsePublicKey, type PublicKey } from '../../attest/keys.ts';
import { asRealisation, buildKeyOf, parseStatement } from '../../attest/statements.ts';
import type { Digest } from '../../model/digest.ts';
import { type Envelope, parseEnvelopes, payloadOf } from '../../model/envelope.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf, type Realisation } from '../../model/realisation.ts';
import {
  artifactPath,
  derivationPath,
  kindOfPath,
  parseSigners,
  SIGNERS_PATH,
  sourcePath,
  STATEMENTS_LIMIT,
  statementsPath,
} from '../../substituters/layout.ts';
import type { ObjectStore } from '../../substituters/objectStore.ts';
import type { Step } from '../evaluate.ts';
import { topologicalOrder } from '../graph.ts';

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

/**
 * Everything in a cache that belongs to the graphs of targets, found by asking for one path after the other; so it works where
 * nothing can be listed.
 */
export async function pathsOf(targets: readonly Step[], cache: ObjectStore): Promise<readonly string[]> {
  const signers = [...(await readSigners(cache)).keys()];
  const wanted = new Set<string>();
  const keys = new Set<Digest>();
  for (const { hash } of topologicalOrder(targets)) {
    for (const signer of signers) {
      const path = derivationPath(hash, signer);
      const envelopes = await readEnvelopesAt(cache, path);
      if (envelopes.length > 0) wanted.add(path);
      for (const envelope of envelopes) {
        const statement = realisationIn(envelope);
        if (statement === undefined) continue;
        keys.add(statement.predicate.buildDefinition.internalParameters.buildKey);
        const { artifact, inputs } = namedBy(statement);
        for (const named of [artifact, ...inputs]) wanted.add(named);
      }
    }
  }
  for (const key of keys) for (const signer of signers) wanted.add(statementsPath(key, signer));
  const found: string[] = [];
  for (const path of wanted) if ((await cache.stat(path)) !== undefined) found.push(path);
  return [...found, SIGNERS_PATH];
}

/**
 * Everything in a cache, or what belongs to targets if some are given.
 *
 * @throws VmbuildError USAGE if none are given, and the cache cannot list.
 */
export async function pathsIn(cache: ObjectStore, targets: readonly Step[]): Promise<readonly string[]> {
  if (targets.length > 0) return pathsOf(targets, cache);
  if (cache.list === undefined) {
    throw new VmbuildError('USAGE', `${cache.where} cannot tell all that it has`, {
      hints: ['Name the targets that it is about, or do it in the folder itself: file:///…'],
    });
  }
  const paths: string[] = [];
  for await (const { path } of cache.list()) paths.push(path);
  return paths.sort();
}

/** Paths in the order in which they may be written: nothing before what it names. */
export function inOrder(paths: readonly string[]): readonly string[] {
  const rank = (path: string): number =>
    kindOfPath(path) === 'immutable' ? 0 : path.startsWith('statements/') ? 1 : path === SIGNERS_PATH ? 3 : 2;
  return paths.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
