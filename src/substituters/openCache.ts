import type { HttpOptions } from '../io/httpExchange.ts';
import { parseCacheAddress } from './address.ts';
import { openFileStore } from './fileStore.ts';
import { openHttpStore } from './httpStore.ts';
import type { ObjectStore } from './objectStore.ts';

/** Credentials of one server. */
export interface CacheCredentials {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined;
  /** Sent as `Authorization: Basic`. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What opening a cache needs from its surroundings. */
export interface CacheContext {
  /** Credentials for an origin (`https://host:port`), if there are any. */
  readonly credentials: (origin: string) => CacheCredentials | undefined;
  readonly http: HttpOptions;
}

/** Time limits and tries of caches: one that is dead or slow may cost a few seconds, because there is always another way. */
export const CACHE_HTTP = {
  connectTimeout: 2_000,
  idleTimeout: 10_000,
  slowest: 1024,
  tries: 2,
  backoff: 200,
  patience: 5_000,
} as const;

/** Opens the cache at an address. No request is made before it is needed. */
export function openCache(address: string, context: CacheContext): ObjectStore {
  const parsed = parseCacheAddress(address);
  switch (parsed.kind) {
    case 'file':
      return openFileStore(parsed.folder, context.http.signal);
    case 'http': {
      const { origin } = new URL(parsed.base);
      return openHttpStore({
        base: parsed.base,
        where: parsed.base,
        authorise: async () => authorisation(context.credentials(origin)),
        http: context.http,
      });
    }
  }
}

function authorisation(credentials: CacheCredentials | undefined): Readonly<Record<string, string>> {
  if (credentials?.token !== undefined) return { authorization: `Bearer ${credentials.token}` };
  if (credentials?.username === undefined) return {};
  const { username, password = '' } = credentials;
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
