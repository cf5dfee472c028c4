import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  generateSigningKey,
  parsePublicKey,
  parseSigningKey,
  type PublicKey,
  type SigningKey,
  signingKeyText,
} from '../attest/keys.ts';
import { listNames } from '../io/files.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { keyFolder } from './settings.ts';

/** The name of the key that is used where none is named. */
export const DEFAULT_KEY = 'default';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A key of the user's own. */
export interface OwnKey {
  readonly name: string;
  readonly publicKey: PublicKey;
}

/**
 * Makes a key: `<name>.pem`, which only its owner may read, and `<name>.pub` beside it, in the user's configuration.
 *
 * @throws VmbuildError KEY_INVALID if there is one of this name.
 */
export function createKey(name: string): OwnKey {
  if (!NAME.test(name)) throw new VmbuildError('USAGE', `${JSON.stringify(name)} cannot be the name of a key`);
  const folder = keyFolder();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = generateSigningKey();
  writeNew(join(folder, `${name}.pem`), signingKeyText(key), 0o600);
  writeNew(join(folder, `${name}.pub`), `${key.publicKey.text}\n`, 0o644);
  return { name, publicKey: key.publicKey };
}

function writeNew(path: string, text: string, mode: number): void {
  let file: number;
  try {
    file = openSync(path, 'wx', mode);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    throw new VmbuildError('KEY_INVALID', `${path} is there already; a key is never written over`);
  }
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
}

/** The user's own keys, by their public halves. */
export function readOwnKeys(): readonly OwnKey[] {
  const folder = keyFolder();
  return listNames(folder)
    .filter((file) => file.endsWith('.pub'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.pub'.length),
      publicKey: parsePublicKey(readFileSync(join(folder, file), 'utf8').trim()),
    }));
}

/**
 * The key to sign with: a name, or the path of a file.
 *
 * @throws VmbuildError KEY_INVALID if there is none, if it is none, or if others can read it.
 */
export function readSigningKey(which: string): SigningKey {
  const path = which.includes('/') ? which : join(keyFolder(), `${which}.pem`);
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new VmbuildError('KEY_INVALID', `${path} can be read by others`, { hints: [`chmod 600 ${path}`] });
    }
    return parseSigningKey(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof VmbuildError) throw error;
    throw new VmbuildError('KEY_INVALID', `the key ${path} cannot be read: ${errorMessage(error)}`, {
      cause: error,
      hints: ['vmbuild key generate makes a key; vmbuild key ls shows those there are.'],
    });
  }
}
