import { describe, expect, it } from 'vitest';
import { sealRecord, unsealRecord } from '../../src/store/sealedRecord.ts';

const RECORD = {
  target: 'edk2',
  built: { at: '2026-01-01T00:00:00Z', durationMs: 12.5, steps: ['a', 'b'] },
  last: null,
};
const MEMBERS = Object.keys(RECORD);

describe('the seal of a record', () => {
  it('is the SHA-256 of the text without it, so anyone can check it', () => {
    // sha256sum of the record's JSON, indented by one space, without a newline at its end.
    expect(sealRecord({ a: 1 })).toBe(
      '{\n "a": 1,\n "check": "4c7b92d70b8f46817ada0eac124a21649225537837d9925d84548dfea748c20e"\n}\n',
    );
  });

  it('is not part of what is read', () => {
    expect(unsealRecord(sealRecord(RECORD), [])).toEqual(RECORD);
  });

  it('shows every bit that has turned over, in the record and in the seal itself', () => {
    const bytes = Buffer.from(sealRecord(RECORD));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(unsealRecord(damaged.toString(), MEMBERS), `bit ${bit}`).toBeUndefined();
    }
  });

  it('shows where a record was cut off, wherever that is', () => {
    const text = sealRecord(RECORD);
    for (let length = 0; length < text.length; length += 1)
      expect(unsealRecord(text.slice(0, length), MEMBERS), `after ${length}`).toBeUndefined();
  });

  it('is not asked of records from before there were seals', () => {
    const text = `${JSON.stringify(RECORD, null, 1)}\n`;
    expect(unsealRecord(text, MEMBERS)).toEqual(RECORD);
    expect(unsealRecord(text, ['target'])).toBeUndefined();
  });

  it.each(['', '{', '[]', 'null', '"x"', '7'])('is nothing that makes %j a record', (text) => {
    expect(unsealRecord(text, MEMBERS)).toBeUndefined();
  });
});
