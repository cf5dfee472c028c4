import { type Digest, isDigest } from '../model/digest.ts';

// Where things lie in a cache (docs/caches.md). What is named by a digest never changes; statements are lines that only
// their signer appends.

/** The canonical tar of an artifact, or of a source that is a tree, in zstd. The digest is of the tar. */
export const artifactPath = (digest: Digest): string => `artifacts/${digest}.tar.zst`;

/** A source that is a file, byte for byte. */
export const sourcePath = (digest: Digest): string => `sources/${digest}`;

/** What a signer says about a build key. */
export const statementsPath = (buildKey: Digest, signer: string): string => `statements/${buildKey}/${signer}.jsonl`;

/** What a signer knows of a whole build graph: the statements of all its steps, whoever signed them. */
export const derivationPath = (hash: Digest, signer: string): string => `by-derivation/${hash}/${signer}.jsonl`;

/** Public keys of all who have pushed: so that a challenge can ask everybody, and never a reason to trust them. */
export const SIGNERS_PATH = 'signers.json';

/**
 * An object that was written longer ago than this is written again by a push that relies on it: a collection of the cache
 * may be about to take it. Milliseconds.
 */
export const REFRESH_MS = 3 * 24 * 3600 * 1000;

/** What a path is. */
export type ObjectKind = 'immutable' | 'changing';

/** What lies at a path; undefined for what no cache has. */
export function kindOfPath(path: string): ObjectKind | undefined {
  const immutable = /^(?:artifacts\/([0-9a-f]{64})\.tar\.zst|sources\/([0-9a-f]{64}))$/.exec(path);
  if (immutable !== null) return isDigest(immutable[1] ?? immutable[2]) ? 'immutable' : undefined;
  const changing = /^(?:(?:statements|by-derivation)\/[0-9a-f]{64}\/[0-9a-f]{64}\.jsonl)$/;
  return changing.test(path) || path === SIGNERS_PATH ? 'changing' : undefined;
}

/** Bytes that a file of statements may have: some 10 000 steps. */
export const STATEMENTS_LIMIT = 64 * 1024 * 1024;

/** Who has pushed to a cache: key id → public key. What cannot be read is nobody. */
export function parseSigners(text: string): Readonly<Record<string, string>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter(([id, key]) => /^[0-9a-f]{64}$/.test(id) && typeof key === 'string'),
    );
  } catch {
    return {};
  }
}
