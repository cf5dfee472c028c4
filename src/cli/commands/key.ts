import { parsePublicKey } from '../../attest/keys.ts';
import { writeFileAtomic } from '../../io/files.ts';
import { systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { readTrust } from '../trustSettings.ts';
import { formatTable } from '../format.ts';
import { createKey, readOwnKeys } from '../keyFiles.ts';
import { configPath, type GlobalOptions, readConfig, type UserConfig } from '../settings.ts';

/** `vmbuild key generate`. */
export function keyGenerate(name: string): void {
  const { publicKey } = createKey(name);
  process.stdout.write(`${name}  ${publicKey.id}\n${publicKey.text}\n`);
  process.stdout.write(`Others believe what it signs after: vmbuild key trust <name for you> ${publicKey.text}\n`);
}

/** `vmbuild key ls`: the user's own keys, and those that are believed. */
export async function keyLs(options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const trust = await readTrust(options);
  const { revokedKeys = [] } = await readConfig();
  const rows = [...trust.keys.values()].map(({ id, text }) => ({
    name: trust.names.get(id) ?? '',
    state: trust.own.has(id) ? 'own' : 'trusted',
    id,
    key: text,
  }));
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ keys: rows, revoked: revokedKeys, need: trust.need }, null, 2)}\n`);
    return;
  }
  const revoked = revokedKeys.map((id) => ['', 'revoked', id, '']);
  process.stdout.write(formatTable([...rows.map(({ name, state, id, key }) => [name, state, id, key]), ...revoked]));
  process.stdout.write(`${trust.need} of them must have built a step themselves before it is taken from a cache\n`);
}

/** `vmbuild key trust`: believes what a key has signed, by the user's configuration. */
export async function keyTrust(name: string, text: string): Promise<void> {
  const key = parsePublicKey(text);
  await changeConfig((config) => {
    const before = config.trustedKeys?.[name];
    if (before !== undefined && before !== text) {
      throw new VmbuildError('KEY_INVALID', `${name} is the name of another key, ${before}`, {
        hints: [`vmbuild key revoke ${name}`],
      });
    }
    return {
      ...config,
      trustedKeys: { ...config.trustedKeys, [name]: text },
      revokedKeys: config.revokedKeys?.filter((id) => id !== key.id),
    };
  });
  process.stdout.write(`${name} is trusted: ${key.id}\n`);
}

/**
 * `vmbuild key revoke`: believes a key no more, also where a project does. What was taken on its word is asked for anew, or
 * built.
 */
export async function keyRevoke(which: string, options: GlobalOptions): Promise<void> {
  const trust = await readTrust(options);
  const known = [...trust.keys.values()].filter(
    ({ id, text }) => which === id || which === text || trust.names.get(id) === which,
  );
  const [key, another] = known;
  if (key === undefined || another !== undefined) {
    throw new VmbuildError(
      'KEY_INVALID',
      `${which} is ${key === undefined ? 'no' : 'more than one'} key that is trusted`,
      {
        hints: ['vmbuild key ls shows names and ids.'],
      },
    );
  }
  await changeConfig((config) => ({
    ...config,
    trustedKeys: Object.fromEntries(Object.entries(config.trustedKeys ?? {}).filter(([, text]) => text !== key.text)),
    revokedKeys: [...new Set([...(config.revokedKeys ?? []), key.id])],
  }));
  process.stdout.write(`${which} is not trusted any more: ${key.id}\n`);
  if (readOwnKeys().some(({ publicKey }) => publicKey.id === key.id)) {
    process.stdout.write('It is a key of your own; remove its files, too, if somebody else has it.\n');
  }
}

/** Changes the user's configuration and keeps all that stands in it. */
async function changeConfig(change: (config: UserConfig) => object): Promise<void> {
  const path = configPath();
  const before = await readConfig();
  try {
    // Whoever may read it may read the credentials in it.
    await writeFileAtomic(path, `${JSON.stringify(change(before), null, 2)}\n`, undefined, 0o600);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw new VmbuildError('USAGE', `${path} cannot be written`, { cause: error });
  }
}
