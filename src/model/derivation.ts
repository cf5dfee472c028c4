import type { Content } from './buildKey.ts';
import { canonicalJson, type Json } from './canonicalJson.ts';
import { type Digest, sha256 } from './digest.ts';

/**
 * An evaluated recipe. It names its inputs by their derivations, where a build key names them by
 * their content; so it is known before anything is built. Where sources can be fetched from, budgets
 * and limits are not part of it: they never change what is meant.
 */
export interface Derivation {
  readonly format: 1;
  readonly name: string;
  readonly platform: string;
  readonly sandbox: number;
  /** Digest of the image's OCI config. */
  readonly image: Digest;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Digest of the canonical tar of the files at /recipe. */
  readonly recipe: Digest;
  readonly sourceDateEpoch: number;
  /** Mount name → derivation hash of the recipe that makes it. */
  readonly inputs: Readonly<Record<string, Digest>>;
  /** Mount name → fixed-output source. */
  readonly sources: Readonly<Record<string, Content>>;
}

/** sha256 of the canonical JSON of the derivation. */
export function derivationHash(derivation: Derivation): Digest {
  return sha256(canonicalJson(derivation as unknown as Json));
}
