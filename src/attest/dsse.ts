import { sign, verify } from 'node:crypto';
import type { Digest } from '../model/digest.ts';
import { type Envelope, payloadOf } from '../model/envelope.ts';
import type { PublicKey, SigningKey } from './keys.ts';

// Dead Simple Signing Envelope, v1.0.2 of https://github.com/secure-systems-lab/dsse (protocol.md).

/** Media type of an in-toto statement in an envelope (in-toto Attestation Framework, envelope.md). */
export const STATEMENT_TYPE = 'application/vnd.in-toto+json';

/** What is signed: the payload with its type, so that neither can be taken for another (protocol.md, PAE). */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `),
    payload,
  ]);
}

/** Signs a payload. */
export function signEnvelope(payloadType: string, payload: Uint8Array, key: SigningKey): Envelope {
  const signature = sign(null, preAuthEncoding(payloadType, payload), key.key);
  return {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: key.publicKey.id, sig: signature.toString('base64') }],
  };
}

/**
 * Those of `keys` that have signed the envelope, each once. A key id in an envelope is only a hint which key to try
 * (protocol.md): what counts is that the signature is that key's.
 */
export function signersOf(envelope: Envelope, keys: ReadonlyMap<string, PublicKey>): readonly Digest[] {
  const signed = preAuthEncoding(envelope.payloadType, payloadOf(envelope));
  const signers = new Set<Digest>();
  for (const { keyid, sig } of envelope.signatures) {
    const key = keys.get(keyid);
    if (key !== undefined && verify(null, signed, key.key, Buffer.from(sig, 'base64'))) signers.add(key.id);
  }
  return [...signers];
}
