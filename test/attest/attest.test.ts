import { execFileSync } from 'node:child_process';
import { verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { preAuthEncoding, signEnvelope, signersOf } from '../../src/attest/dsse.ts';
import { generateSigningKey, parsePublicKey, parseSigningKey, signingKeyText } from '../../src/attest/keys.ts';
import { openEnvelope, signStatement } from '../../src/attest/statements.ts';
import { testimoniesOf, weigh } from '../../src/attest/testimony.ts';
import type { Trust } from '../../src/attest/trust.ts';
import type { Digest } from '../../src/model/digest.ts';
import { type Envelope, formatEnvelopes, isEnvelope, parseEnvelopes } from '../../src/model/envelope.ts';
import { temporary } from '../support/temporary.ts';
import { statementOf, trusting } from './statements.ts';

const alice = generateSigningKey();
const bob = generateSigningKey();

describe('DSSE', () => {
  it('encodes what is signed as in the specification', () => {
    // protocol.md of DSSE v1.0.2: PAE("http://example.com/HelloWorld", "hello world").
    expect(preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
    // Lengths are of bytes.
    expect(preAuthEncoding('é', Buffer.from('ü')).toString()).toBe('DSSEv1 2 é 2 ü');
  });

  it('signs what anybody can verify who has the key', () => {
    const envelope = signEnvelope('text/x', Buffer.from('payload'), alice);
    const [signature] = envelope.signatures;
    const signed = Buffer.from('DSSEv1 6 text/x 7 payload');
    expect(verify(null, signed, alice.publicKey.key, Buffer.from(signature?.sig ?? '', 'base64'))).toBe(true);
    expect(signersOf(envelope, trusting([alice]).keys)).toEqual([alice.publicKey.id]);
  });

  it('believes no signature under a forged key id, none of a stranger, and none of other bytes or another type', () => {
    const envelope = signEnvelope('text/x', Buffer.from('payload'), bob);
    const { keys } = trusting([alice]);
    const forged: Envelope = {
      ...envelope,
      signatures: envelope.signatures.map((s) => ({ ...s, keyid: alice.publicKey.id })),
    };
    expect(signersOf(forged, keys)).toEqual([]);
    expect(signersOf(envelope, keys)).toEqual([]);
    const own = signEnvelope('text/x', Buffer.from('payload'), alice);
    expect(signersOf({ ...own, payload: Buffer.from('Payload').toString('base64') }, keys)).toEqual([]);
    expect(signersOf({ ...own, payloadType: 'text/y' }, keys)).toEqual([]);
  });

  it('counts a signer once however often the signature is there', () => {
    const envelope = signEnvelope('text/x', Buffer.from('payload'), alice);
    const twice = { ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] };
    expect(signersOf(twice, trusting([alice]).keys)).toEqual([alice.publicKey.id]);
  });

  it('reads lines, and says which one is none', () => {
    const envelope = signEnvelope('text/x', Buffer.from('payload'), alice);
    expect(parseEnvelopes(formatEnvelopes([envelope, envelope]))).toEqual([envelope, envelope]);
    expect(() => parseEnvelopes(`${JSON.stringify(envelope)}\n<html>\n`)).toThrow('line 2 is no signed statement');
    expect(isEnvelope({ ...envelope, signatures: [] })).toBe(false);
    expect(isEnvelope({ ...envelope, payload: '!' })).toBe(false);
  });
});

describe('keys', () => {
  it('are written as ed25519: and base64, and named by their SubjectPublicKeyInfo', async () => {
    const file = join(await temporary(), 'key.pem');
    writeFileSync(file, signingKeyText(alice), { mode: 0o600 });
    const der = execFileSync('openssl', ['pkey', '-in', file, '-pubout', '-outform', 'DER']);
    expect(alice.publicKey.text).toBe(`ed25519:${der.subarray(-32).toString('base64')}`);
    expect(execFileSync('sha256sum', { input: der }).toString().slice(0, 64)).toBe(alice.publicKey.id);
    expect(parsePublicKey(alice.publicKey.text).id).toBe(alice.publicKey.id);
    expect(parseSigningKey(signingKeyText(alice), file).publicKey.id).toBe(alice.publicKey.id);
  });

  it.each(['', 'ed25519:', 'ed25519:AAAA', `rsa:${'A'.repeat(43)}=`, `ed25519:${'A'.repeat(42)}B=`, 'x'.repeat(1000)])(
    'refuses %j',
    (text) => {
      expect(() => parsePublicKey(text)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    },
  );

  it('never quotes a private key that cannot be read', () => {
    expect(() => parseSigningKey('SECRET', 'a file')).toThrow(/^a file holds no Ed25519 private key$/);
  });
});

describe('what was said about a build key', () => {
  const { key, statement } = statementOf('a step', 'one result');
  const other = statementOf('a step', 'another result').statement;

  const said = (trust: Trust, ...envelopes: Envelope[]) => testimoniesOf(envelopes, key, trust);

  it('counts signers who are trusted, each once', () => {
    const trust = { ...trusting([alice, bob]), need: 2 };
    const once = said(trust, signStatement(statement, alice), signStatement({ ...statement }, alice));
    expect(weigh('t', key, once, trust)).toMatchObject({ accepted: undefined, agreeing: 1 });
    const both = said(trust, signStatement(statement, alice), signStatement(statement, bob));
    expect(weigh('t', key, both, trust)).toMatchObject({ agreeing: 2 });
    expect(weigh('t', key, both, trust).accepted).toHaveLength(2);
    const strangers = said(trusting([alice]), signStatement(statement, bob));
    expect(strangers).toEqual([]);
  });

  it('counts keys of the same user as one, which is a build of their own', () => {
    const trust = { ...trusting([alice, bob]), own: new Set([alice.publicKey.id, bob.publicKey.id]), need: 2 };
    const both = said(trust, signStatement(statement, alice), signStatement(statement, bob));
    expect(weigh('t', key, both, trust)).toMatchObject({ accepted: undefined, agreeing: 1 });
  });

  it('stops where trusted signers disagree, or one disagrees with itself, and shows both', () => {
    const trust = trusting([alice, bob]);
    for (const second of [alice, bob]) {
      const both = said(trust, signStatement(statement, alice), signStatement(other, second));
      const failure = expect.objectContaining({ code: 'STATEMENT_CONFLICT' });
      expect(() => weigh('t', key, both, trust)).toThrow(failure);
      expect(() => weigh('t', key, both, trust)).toThrow(statement.subject[0]?.digest.sha256);
      expect(() => weigh('t', key, both, trust)).toThrow(other.subject[0]?.digest.sha256);
    }
  });

  it('takes no statement for another build key, of another kind, or with a document that is not its key', () => {
    const trust = trusting([alice]);
    expect(testimoniesOf([signStatement(statement, alice)], 'f'.repeat(64) as Digest, trust)).toEqual([]);
    const tests = { ...statement, predicateType: 'https://in-toto.io/attestation/test-result/v0.1' };
    expect(said(trust, signStatement(tests, alice))).toEqual([]);
    // Any other kind of statement goes through the same door.
    expect(openEnvelope(signStatement(tests, alice), trust)?.statement.predicateType).toBe(tests.predicateType);
    const replayed = structuredClone(statement) as unknown as {
      predicate: { buildDefinition: { internalParameters: { document: { command: string[] } } } };
    };
    replayed.predicate.buildDefinition.internalParameters.document.command = ['something', 'else'];
    expect(said(trust, signStatement(replayed as unknown as typeof statement, alice))).toEqual([]);
  });
});
