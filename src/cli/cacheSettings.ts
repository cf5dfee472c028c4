import { parsePublicKey, type PublicKey } from '../attest/keys.ts';
import type { Trust } from '../attest/trust.ts';
import type { Emit } from '../build/events.ts';
import type { SubstitutionSettings } from '../build/substitution.ts';
import { VmbuildError } from '../model/errors.ts';
import { type CacheCredentials, CACHE_HTTP, openCache } from '../substituters/openCache.ts';
import type { ObjectStore } from '../substituters/objectStore.ts';
import { openSubstituter } from '../substituters/substituter.ts';
import { readOwnKeys } from './keyFiles.ts';
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
    .map((address) => openStore(address, config, signal))
    .filter(({ remote }) => !(remote && options.offline === true))
    .map((store) => openSubstituter(store, signal, warn));
  return { caches, trust: await readTrust(options), only: options.substituteOnly === true };
}

/** Opens one cache for a command that was told its address. */
export async function openNamedCache(address: string, signal: AbortSignal): Promise<ObjectStore> {
  return openStore(address, await readConfig(), signal);
}

/**
 * Whom to believe. A key that the user revoked is not believed, whatever a project says; the policy is the strictest of
 * all.
 *
 * @throws VmbuildError KEY_INVALID for a configured key that is none.
 */
export async function readTrust(options: GlobalOptions): Promise<Trust> {
  const config = await readConfig();
  const projects = await readProjectConfigs(options);
  const keys = new Map<string, PublicKey>();
  const names = new Map<string, string>();
  const revoked = new Set(config.revokedKeys ?? []);
  const add = (name: string, key: PublicKey): void => {
    if (revoked.has(key.id)) return;
    keys.set(key.id, key);
    if (!names.has(key.id)) names.set(key.id, name);
  };
  const own = readOwnKeys();
  for (const { name, publicKey } of own) add(name, publicKey);
  for (const { trustedKeys = {} } of [config, ...projects]) {
    for (const [name, text] of Object.entries(trustedKeys)) add(name, parsePublicKey(text));
  }
  return {
    keys,
    names,
    own: new Set(own.map(({ publicKey }) => publicKey.id)),
    need: Math.max(...[config, ...projects].map(({ need = 1 }) => need)),
  };
}

function openStore(address: string, config: UserConfig, signal: AbortSignal): ObjectStore {
  const given = environmentCredentials() ?? config.credentials ?? {};
  return openCache(address, { credentials: (origin) => given[origin], http: { ...CACHE_HTTP, signal } });
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
