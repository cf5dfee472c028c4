import type { Emit } from '../build/events.ts';
import type { SubstitutionSettings } from '../build/substitution.ts';
import type { HttpOptions } from '../io/httpExchange.ts';
import { VmbuildError } from '../model/errors.ts';
import { explainFailures } from '../substituters/explained.ts';
import { type CacheCredentials, CACHE_HTTP, NAMED_CACHE_HTTP, openCache } from '../substituters/openCache.ts';
import type { ObjectStore } from '../substituters/objectStore.ts';
import { openSubstituter } from '../substituters/substituter.ts';
import { awsIdentity } from './awsIdentity.ts';
import { dockerCredentials } from './dockerCredentials.ts';
import { readTrust } from './trustSettings.ts';
import { type GlobalOptions, readConfig, readProjectConfigs, type UserConfig } from './settings.ts';

/** Options of commands that may take results from caches. */
export interface SubstituteOptions {
  readonly substituter?: readonly string[];
  /** False for --no-substitute. */
  readonly substitute?: boolean;
  readonly substituteOnly?: boolean;
  readonly offline?: boolean;
}

/** Which caches are asked and who is believed, from options, the user's configuration and the projects'. */
export async function substitutionSettings(
  options: GlobalOptions & SubstituteOptions,
  signal: AbortSignal,
  emit: Emit,
): Promise<SubstitutionSettings> {
  if (options.substitute === false && options.substituteOnly === true) {
    throw new VmbuildError('USAGE', '--no-substitute and --substitute-only exclude each other');
  }
  const config = await readConfig();
  const projects = await readProjectConfigs(options);
  const configured = [...(config.substituters ?? []), ...projects.flatMap(({ substituters = [] }) => substituters)];
  const addresses = options.substitute === false ? [] : new Set([...(options.substituter ?? []), ...configured]);
  const warn = (message: string): void => emit({ type: 'cache-dropped', message });
  const caches = [...addresses]
    .map((address) => {
      // What one that is dropped is still being asked is given up with it.
      const dropped = new AbortController();
      const http = { ...CACHE_HTTP, signal: AbortSignal.any([signal, dropped.signal]) };
      return { store: openStore(address, config, http), drop: () => dropped.abort() };
    })
    .filter(({ store }) => !(store.remote && options.offline === true))
    .map(({ store, drop }) => openSubstituter(store, signal, warn, drop));
  return { caches, trust: await readTrust(options), only: options.substituteOnly === true };
}

/** Opens one cache for a command that was told its address. */
export async function openNamedCache(address: string, signal: AbortSignal): Promise<ObjectStore> {
  return explainFailures(openStore(address, await readConfig(), { ...NAMED_CACHE_HTTP, signal }));
}

function openStore(address: string, config: UserConfig, http: HttpOptions): ObjectStore {
  const given = environmentCredentials() ?? config.credentials ?? {};
  return openCache(address, {
    credentials: (origin) => given[origin],
    aws: awsIdentity,
    registryCredentials: dockerCredentials,
    plainRegistries: config.plainRegistries,
    http,
  });
}

/** VMBUILD_CREDENTIALS: the same as `credentials` of the configuration, for machines whose secrets come that way. */
function environmentCredentials(): Readonly<Record<string, CacheCredentials>> | undefined {
  const text = process.env['VMBUILD_CREDENTIALS'];
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text) as Readonly<Record<string, CacheCredentials>>;
  } catch {
    // Not with the parser's message, which quotes the text.
    throw new VmbuildError('USAGE', 'VMBUILD_CREDENTIALS is not JSON');
  }
}
