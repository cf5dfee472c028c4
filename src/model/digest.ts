import { createHash, hash } from 'node:crypto';

/**
 * A SHA-256 as 64 lower-case hexadecimal characters, with no prefix: what `sha256sum` prints.
 * OCI documents prefix it with `sha256:`; that happens in their codec and nowhere else.
 */
export type Digest = string & { readonly __brand: 'Digest' };

const PATTERN = /^[0-9a-f]{64}$/;

/** True if `text` is a well-formed digest. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && PATTERN.test(text);
}

/** Narrows `text` to a digest, or throws a TypeError that shows what was found. */
export function toDigest(text: string): Digest {
  if (!isDigest(text))
    throw new TypeError(`not a sha256 digest (64 lower-case hex characters): ${JSON.stringify(text)}`);
  return text;
}

/** SHA-256 of bytes in memory, or of the UTF-8 form of a string. */
export function sha256(data: string | Uint8Array): Digest {
  return hash('sha256', data, 'hex') as Digest;
}

/** An incremental SHA-256. `digest()` may be called once. */
export function sha256Stream(): { update(chunk: Uint8Array): void; digest(): Digest } {
  const state = createHash('sha256');
  return {
    update: (chunk) => void state.update(chunk),
    digest: () => state.digest('hex') as Digest,
  };
}

/** The first 12 characters: enough for people to tell digests apart, never used as a name. */
export function shortDigest(digest: Digest): string {
  return digest.slice(0, 12);
}
