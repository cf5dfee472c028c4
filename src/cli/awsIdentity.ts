import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { AwsIdentity } from '../substituters/s3Client.ts';

/**
 * Who somebody is to S3 servers, from where Amazon's tools look: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN,
 * else the profile AWS_PROFILE (or `default`) of ~/.aws/credentials; the region from AWS_REGION, AWS_DEFAULT_REGION or the profile in
 * ~/.aws/config. Neither single sign-on nor what machines of Amazon are told about themselves is asked for.
 *
 * @throws VmbuildError USAGE for half of a pair, for a profile that is not there, and for files that cannot be read.
 */
export function awsIdentity(environment: NodeJS.ProcessEnv = process.env): AwsIdentity {
  const given = (name: string): string | undefined => environment[name] || undefined;
  const profile = given('AWS_PROFILE');
  const folder = join(homedir(), '.aws');
  const [id, secret] = [given('AWS_ACCESS_KEY_ID'), given('AWS_SECRET_ACCESS_KEY')];
  if ((id === undefined) !== (secret === undefined)) {
    throw new VmbuildError('USAGE', 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set, or neither');
  }
  const configured = readProfiles(given('AWS_CONFIG_FILE') ?? join(folder, 'config'));
  const name = profile ?? 'default';
  // In this file, and in it alone, they are called so.
  const settings = configured.get(name === 'default' ? name : `profile ${name}`);
  const region = given('AWS_REGION') ?? given('AWS_DEFAULT_REGION') ?? settings?.get('region');
  if (id !== undefined && secret !== undefined) {
    const sessionToken = given('AWS_SESSION_TOKEN');
    return { credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken }, region };
  }
  const file = given('AWS_SHARED_CREDENTIALS_FILE') ?? join(folder, 'credentials');
  const keys = readProfiles(file).get(name) ?? settings;
  if (keys === undefined && profile !== undefined) {
    throw new VmbuildError('USAGE', `AWS_PROFILE: ${file} has no profile ${JSON.stringify(profile)}`);
  }
  const [accessKeyId, secretAccessKey] = [keys?.get('aws_access_key_id'), keys?.get('aws_secret_access_key')];
  if (accessKeyId === undefined || secretAccessKey === undefined) return { credentials: undefined, region };
  return { credentials: { accessKeyId, secretAccessKey, sessionToken: keys?.get('aws_session_token') }, region };
}

/** Sections of a file in Amazon's form of INI; none if there is no file. */
function readProfiles(path: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return new Map();
    throw new VmbuildError('USAGE', `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
  const profiles = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1]?.replace(/\s+/g, ' ');
    if (section !== undefined) {
      current = profiles.get(section) ?? new Map<string, string>();
      profiles.set(section, current);
      continue;
    }
    // Indented lines belong to settings with parts of their own.
    const [, key, value] = /^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) current?.set(key.toLowerCase(), value);
  }
  return profiles;
}
