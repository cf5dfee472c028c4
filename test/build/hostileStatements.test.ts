import { writeFileSync } from 'node:fs';
import { describe } from 'vitest';
import { signStatement } from '../../src/attest/statements.ts';
import { type Envelope, formatEnvelopes } from '../../src/model/envelope.ts';
import { alice, givesNothing, mallory, statements, type Wrong } from './hostile.ts';
import type { Stated } from './stated.ts';

const sign = (stated: Stated, key: typeof alice): Envelope => signStatement(stated.statement, key);

const WRONG: readonly Wrong[] = [
  {
    name: 'a statement of somebody else in the place of hers',
    damage: ({ rom, at }) => writeFileSync(at(statements(rom)), formatEnvelopes([sign(rom, mallory)])),
  },
  {
    name: 'the signature of somebody else under her key id',
    damage: ({ rom, at }) => {
      const forged = sign(rom, mallory);
      const signatures = forged.signatures.map(({ sig }) => ({ keyid: alice.publicKey.id, sig }));
      writeFileSync(at(statements(rom)), formatEnvelopes([{ ...forged, signatures }]));
    },
  },
  {
    name: 'her statement about another build key',
    damage: ({ rom, other, at }) => writeFileSync(at(statements(rom)), formatEnvelopes([sign(other, alice)])),
  },
  {
    name: 'her statement with another payload',
    damage: ({ rom, other, at }) => {
      const envelope = { ...sign(rom, alice), payload: sign(other, alice).payload };
      writeFileSync(at(statements(rom)), formatEnvelopes([envelope]));
    },
  },
  {
    name: 'her signature of something that is no statement',
    damage: ({ rom, at }) => {
      const envelope = { ...sign(rom, alice), payloadType: 'text/plain' };
      writeFileSync(at(statements(rom)), formatEnvelopes([envelope]));
    },
  },
  {
    name: 'a page in the place of statements',
    damage: ({ rom, at }) => writeFileSync(at(statements(rom)), '<!doctype html>\n<title>Log in</title>\n'),
    complaint: /no signed statement/,
  },
];

describe.each(['file', 'http'] as const)('hostile statements behind %s://', (kind) => {
  givesNothing(kind, WRONG);
});
