import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { RegistryCredentials } from '../io/registry.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';

/**
 * What `docker login` has left for a registry in `config.json` of DOCKER_CONFIG or ~/.docker; undefined if it has nothing.
 * Passwords that a credential helper keeps are not asked for.
 */
export function dockerCredentials(registry: string): RegistryCredentials | undefined {
  const path = join(process.env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw new VmbuildError('USAGE', `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
  let auths: Readonly<Record<string, { readonly auth?: unknown }>> | undefined;
  try {
    ({ auths } = JSON.parse(text) as { auths?: typeof auths });
  } catch {
    // Not with the parser's message, which quotes the file.
    throw new VmbuildError('USAGE', `${path} is not JSON`);
  }
  const auth = auths?.[registry]?.auth ?? auths?.[`https://${registry}`]?.auth;
  if (typeof auth !== 'string') return undefined;
  const decoded = Buffer.from(auth, 'base64').toString();
  const colon = decoded.indexOf(':');
  return colon <= 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
