import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Digest, sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';

/** Somebody whose signatures can be checked. */
export interface PublicKey {
  /** Its id: SHA-256 of the key as SubjectPublicKeyInfo (RFC 8410) in DER. */
  readonly id: Digest;
  /** `ed25519:<base64 of the 32 bytes>`: what people give each other. */
  readonly text: string;
  readonly key: KeyObject;
}

/** A key to sign with. */
export interface SigningKey {
  readonly publicKey: PublicKey;
  readonly key: KeyObject;
}

/** What precedes the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 §4 and §10.1). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

const TEXT = /^ed25519:([A-Za-z0-9+/]{43}=)$/;

/**
 * Parses `ed25519:<base64 of 32 bytes>`.
 *
 * @throws VmbuildError KEY_INVALID
 */
export function parsePublicKey(text: string): PublicKey {
  const bytes = Buffer.from(TEXT.exec(text)?.[1] ?? '', 'base64');
  // A text whose last bits are not used could be written in several ways; there is one name for each key.
  if (bytes.length !== 32 || `ed25519:${bytes.toString('base64')}` !== text) {
    throw new VmbuildError('KEY_INVALID', `${JSON.stringify(text.slice(0, 80))} is no public key`, {
      hints: ['A public key is ed25519: and the base64 of 32 bytes; vmbuild key ls prints yours.'],
    });
  }
  return publicKeyOf(createPublicKey({ key: Buffer.concat([SPKI_PREFIX, bytes]), format: 'der', type: 'spki' }));
}

function publicKeyOf(key: KeyObject): PublicKey {
  const der = key.export({ format: 'der', type: 'spki' });
  return { id: sha256(der), text: `ed25519:${der.subarray(SPKI_PREFIX.length).toString('base64')}`, key };
}

/** Makes a new key. */
export function generateSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKeyOf(publicKey), key: privateKey };
}

/** The private key as PKCS #8 in PEM, which openssl reads, too. */
export function signingKeyText({ key }: SigningKey): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/**
 * Parses what `signingKeyText` wrote. `where` is for the message, which never quotes the text.
 *
 * @throws VmbuildError KEY_INVALID
 */
export function parseSigningKey(text: string, where: string): SigningKey {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(text);
  } catch {
    // Not with the cause: a parser's message may quote what it could not read.
  }
  if (key?.asymmetricKeyType !== 'ed25519') {
    throw new VmbuildError('KEY_INVALID', `${where} holds no Ed25519 private key`, {
      hints: ['vmbuild key generate <name> makes one.'],
    });
  }
  return { publicKey: publicKeyOf(createPublicKey(key)), key };
}
