import type { Digest } from '../model/digest.ts';

/** `match`: everybody has what was built here. `mismatch`: somebody has something else. `inconclusive`: it cannot be told. */
export type ChallengeVerdict = 'match' | 'mismatch' | 'inconclusive';

/** What a challenge of one step rests on. */
export interface Evidence {
  /** What the store has on record; `built` if it was built on this machine, once at least. */
  readonly local: { readonly artifact: Digest; readonly built: boolean } | undefined;
  /** What was signed, by whomever. `own` if it is a key of one's own. */
  readonly published: readonly { readonly artifact: Digest; readonly own: boolean }[];
  /** Lines that nobody whose key is known has signed. */
  readonly unverified: number;
  /** May not be published, as the licences of vendor blobs have it. */
  readonly restricted: boolean;
  /** Caches that could not be asked to the end. */
  readonly unasked: number;
}

/** Compares digests. A reason is given with `inconclusive` alone. */
export function judge({ local, published, unverified, restricted, unasked }: Evidence): {
  readonly verdict: ChallengeVerdict;
  readonly reason?: string;
} {
  const artifacts = new Set(published.map(({ artifact }) => artifact));
  if (local !== undefined) artifacts.add(local.artifact);
  // Also if it is not known here who is right, or one's own earlier word is against it.
  if (artifacts.size > 1) return { verdict: 'mismatch' };
  const unknown = (reason: string) => ({ verdict: 'inconclusive' as const, reason });
  if (local === undefined) return unknown('it is not realised here');
  if (!local.built) return unknown('it was taken from others and never built here');
  if (published.some(({ own }) => !own)) return { verdict: 'match' };
  if (restricted) return unknown('it is made with vendor blobs, and not published');
  if (unasked > 0)
    return unknown(`nobody else is known to have published it, but ${unasked} of the caches could not be asked`);
  if (unverified > 0) return unknown('what was published, nobody whose key is known has signed');
  return unknown(published.length > 0 ? 'nobody but you has published it' : 'nobody has published it');
}
