import { parsePublicKey, type PublicKey } from '../attest/keys.ts';
import { buildKeyOf, parseStatement } from '../attest/statements.ts';
import { describeSigner, testimoniesOf } from '../attest/testimony.ts';
import { type Trust } from '../attest/trust.ts';
import type { Digest } from '../model/digest.ts';
import { type Envelope, parseEnvelopes, payloadOf } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import { artifactOf } from '../model/realisation.ts';
import { artifactPath, derivationPath, parseSigners, SIGNERS_PATH, STATEMENTS_LIMIT } from '../substituters/layout.ts';
import type { ObjectStore } from '../substituters/objectStore.ts';
import type { Step } from './evaluate.ts';

/** What somebody says about a step. */
export interface Said {
  readonly target: string;
  readonly buildKey: Digest;
  readonly artifact: Digest;
  /** Key id. */
  readonly signer: string;
  /** Name, builder, version, time: for people. */
  readonly who: string;
  readonly trusted: boolean;
  /** The artifact is in the cache. */
  readonly present: boolean;
}

/** Finds out what everybody says who has pushed the targets to a cache, whether or not they are trusted. */
export async function survey(targets: readonly Step[], cache: ObjectStore, trust: Trust): Promise<readonly Said[]> {
  const everybody = await everySigner(cache, trust);
  const said = new Map<string, Said>();
  for (const { hash } of targets) {
    for (const id of everybody.keys.keys()) {
      for (const envelope of await envelopesAt(cache, derivationPath(hash, id))) {
        for (const each of await readSaid(envelope, cache, everybody, trust)) {
          said.set(`${each.buildKey} ${each.signer} ${each.artifact}`, each);
        }
      }
    }
  }
  return [...said.values()];
}

/** The trusted, and those that the cache knows: their keys say who is meant, not that they are right. */
async function everySigner(cache: ObjectStore, trust: Trust): Promise<Trust> {
  const keys = new Map<string, PublicKey>(trust.keys);
  const listed = await cache.read(SIGNERS_PATH, STATEMENTS_LIMIT);
  for (const text of Object.values(parseSigners(listed?.bytes.toString() ?? ''))) {
    try {
      const key = parsePublicKey(text);
      keys.set(key.id, key);
    } catch {
      // No key, so nobody who could have signed anything.
    }
  }
  return { keys, names: trust.names, own: new Set(), need: 1 };
}

async function readSaid(
  envelope: Envelope,
  cache: ObjectStore,
  everybody: Trust,
  trust: Trust,
): Promise<readonly Said[]> {
  const statement = parseStatement(payloadOf(envelope));
  const buildKey = statement && buildKeyOf(statement);
  if (buildKey === undefined) return [];
  const found: Said[] = [];
  for (const testimony of testimoniesOf([envelope], buildKey, everybody)) {
    const artifact = artifactOf(testimony.statement);
    found.push({
      target: testimony.statement.predicate.buildDefinition.externalParameters.target,
      buildKey,
      artifact,
      signer: testimony.signer,
      who: describeSigner(testimony, trust),
      trusted: trust.keys.has(testimony.signer),
      present: (await cache.stat(artifactPath(artifact))) !== undefined,
    });
  }
  return found;
}

/** @throws VmbuildError CACHE_UNUSABLE for what holds no statements. */
async function envelopesAt(cache: ObjectStore, path: string): Promise<readonly Envelope[]> {
  const object = await cache.read(path, STATEMENTS_LIMIT);
  try {
    return parseEnvelopes(object?.bytes.toString() ?? '');
  } catch (error) {
    throw new VmbuildError('CACHE_UNUSABLE', `${cache.where}: ${path}: ${String(error)}`, { cause: error });
  }
}
