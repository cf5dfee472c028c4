import { type Digest, isDigest } from '../model/digest.ts';

/** Where a registry has something: `registry/repository`, with a tag or the digest of a manifest. */
export interface OciReference {
  /** Host, with a port if it is not the standard one. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

/** A repository's name: OCI distribution specification v1.1, "Pulling manifests". */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const REGISTRY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;

/**
 * Parses `registry[:port]/repository[:tag][@sha256:…]`. There is no default registry: what is meant must not depend on
 * whose tool reads it.
 *
 * @throws TypeError that says what is wrong.
 */
export function parseOciReference(text: string): OciReference {
  const slash = text.indexOf('/');
  const registry = text.slice(0, Math.max(slash, 0));
  // Docker takes a first part without dot, colon or `localhost` for a part of a name on its own registry.
  if (!REGISTRY.test(registry) || !(/[.:[]/.test(registry) || registry === 'localhost')) {
    throw new TypeError(`${JSON.stringify(text)} does not begin with a registry, as in registry.example/name`);
  }
  const [named = '', digestText, ...more] = text.slice(slash + 1).split('@');
  const digest = digestText?.startsWith('sha256:') === true ? digestText.slice('sha256:'.length) : undefined;
  if (more.length > 0 || (digestText !== undefined && !isDigest(digest))) {
    throw new TypeError(`${JSON.stringify(text)} does not end with @sha256: and 64 lower-case hex characters`);
  }
  const colon = named.lastIndexOf(':');
  const repository = colon === -1 ? named : named.slice(0, colon);
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  if (!REPOSITORY.test(repository))
    throw new TypeError(`${JSON.stringify(repository)} is not the name of a repository`);
  if (tag !== undefined && !TAG.test(tag)) throw new TypeError(`${JSON.stringify(tag)} is not a tag`);
  return { registry, repository, tag, digest: digest as Digest | undefined };
}

/** True for the machine itself, where a registry speaks plain HTTP. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
