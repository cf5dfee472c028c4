import { parsePublicKey, type PublicKey } from '../attest/keys.ts';
import type { Trust } from '../attest/trust.ts';
import { readOwnKeys } from './keyFiles.ts';
import { type GlobalOptions, readConfig, readProjectConfigs } from './settings.ts';

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
