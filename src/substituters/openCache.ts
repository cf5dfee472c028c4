import type { HttpOptions } from '../io/httpExchange.ts';
import type { RegistryCredentials } from '../io/registry.ts';
import { type OciAddress, parseCacheAddress, type S3Address } from './address.ts';
import { openFileStore } from './fileStore.ts';
import { openHttpStore } from './httpStore.ts';
import type { ListingStore, ObjectStore } from './objectStore.ts';
import type { AwsIdentity } from './s3Client.ts';

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
  /** Credentials for an origin (`https://host:port`, `oci://host:port`), if there are any. */
  readonly credentials: (origin: string) => CacheCredentials | undefined;
  /** Who somebody is to S3 servers; asked when one is asked something. */
  readonly aws?: (() => AwsIdentity) | undefined;
  /** What `docker login` has left for a registry. */
  readonly registryCredentials?: ((registry: string) => RegistryCredentials | undefined) | undefined;
  /** Registries that speak HTTP without TLS, besides those of this machine. */
  readonly plainRegistries?: readonly string[] | undefined;
  readonly http: HttpOptions;
}

/**
 * Time limits and tries of caches that are asked before something is built: one that is dead or slow may cost a few seconds,
 * because there is always another way. A line that is slower than `slowest` takes longer than building.
 */
export const CACHE_HTTP = {
  connectTimeout: 2_000,
  idleTimeout: 4_000,
  slowest: 16 * 1024,
  rateWindow: 4_000,
  tries: 2,
  retryTimeouts: false,
  backoff: 200,
  patience: 3_000,
} as const;

/** The same of a cache that somebody has named, to write into it or to look at it: there is no other way. */
export const NAMED_CACHE_HTTP = { connectTimeout: 10_000, idleTimeout: 60_000, tries: 5, backoff: 500 } as const;

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
    case 's3':
      return openBucket(parsed, context);
    case 'oci':
      return whenAsked(`oci://${parsed.registry}/${parsed.repository}`, () => openOci(parsed, context));
  }
}

/** A bucket can list and remove, too. */
function openBucket(address: S3Address, context: CacheContext): ObjectStore {
  let opened: Promise<ListingStore> | undefined;
  const store = (): Promise<ListingStore> => (opened ??= openS3(address, context));
  return {
    ...whenAsked(`s3://${address.bucket}/${address.prefix}`, store),
    list: async function* () {
      yield* (await store()).list();
    },
    collect: async (path, before) => (await store()).collect(path, before),
  };
}

async function openS3(address: S3Address, { aws, http }: CacheContext): Promise<ListingStore> {
  const { openS3Store } = await import('./s3Store.ts');
  return openS3Store(address, aws?.() ?? { credentials: undefined, region: undefined }, http);
}

async function openOci(address: OciAddress, context: CacheContext): Promise<ObjectStore> {
  const { registry } = address;
  const { openOciStore } = await import('./ociStore.ts');
  const { token, username, password } = context.credentials(`oci://${registry}`) ?? {};
  // A token is given to registries as the password of anybody.
  const given =
    token === undefined ? username && { username, password: password ?? '' } : { username: 'token', password: token };
  return openOciStore(address, {
    plainHttp: context.plainRegistries?.includes(registry) === true ? true : undefined,
    credentials: given || context.registryCredentials?.(registry),
    http: context.http,
  });
}

/** A store whose code is loaded when something is asked of it, for what seldom is. */
function whenAsked(where: string, open: () => Promise<ObjectStore>): ObjectStore {
  let opened: Promise<ObjectStore> | undefined;
  const store = (): Promise<ObjectStore> => (opened ??= open());
  return {
    where,
    remote: true,
    read: async (path, limit) => (await store()).read(path, limit),
    open: async (path) => (await store()).open(path),
    stat: async (path) => (await store()).stat(path),
    put: async (path, body) => (await store()).put(path, body),
    replace: async (path, bytes, version) => (await store()).replace(path, bytes, version),
  };
}

function authorisation(credentials: CacheCredentials | undefined): Readonly<Record<string, string>> {
  if (credentials?.token !== undefined) return { authorization: `Bearer ${credentials.token}` };
  if (credentials?.username === undefined) return {};
  const { username, password = '' } = credentials;
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
