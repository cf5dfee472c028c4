import { canonicalJson, type Json } from './canonicalJson.ts';
import { type Digest, sha256 } from './digest.ts';

/** The only build platform so far. The word is OCI's `os/architecture`. */
export const BUILD_PLATFORM = 'linux/amd64';

/** Version of what a build step sees (docs/sandbox.md). Another environment is another number. */
export const SANDBOX_VERSION = 1;

/** 1980-01-01T00:00:00Z: the first instant that zip and FAT can express. */
export const DEFAULT_SOURCE_DATE_EPOCH = 315532800;

/**
 * Content under a fixed path in the sandbox. A `tree` is named by the digest of its canonical tar, a
 * `file` by the SHA-256 of its bytes.
 */
export interface Content {
  readonly kind: 'tree' | 'file';
  readonly digest: Digest;
}

/**
 * Everything that decides the bytes of an artifact, and nothing else. Two derivations with equal
 * documents are the same work: that is how early cutoff happens.
 */
export interface BuildKeyDocument {
  readonly format: 1;
  readonly platform: string;
  readonly sandbox: number;
  /** Digest of the image's OCI config. */
  readonly image: Digest;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Digest of the canonical tar of the declared recipe files, which appear at /recipe. */
  readonly recipe: Digest;
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
  /** Mount name → content. It appears at /in/<mount name>. */
  readonly inputs: Readonly<Record<string, Content>>;
}

/** sha256 of the canonical JSON of the document. */
export function buildKey(document: BuildKeyDocument): Digest {
  return sha256(canonicalJson(document as unknown as Json));
}
