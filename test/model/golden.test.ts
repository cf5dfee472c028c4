import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildKey, type BuildKeyDocument } from '../../src/model/buildKey.ts';
import { canonicalJson, type Json } from '../../src/model/canonicalJson.ts';
import { type Derivation, derivationHash } from '../../src/model/derivation.ts';

function golden(name: string): string {
  return readFileSync(new URL(`golden/${name}`, import.meta.url), 'utf8');
}

// The files are the very bytes that are hashed: sha256sum of each is its name in other people's caches. What is in them
// sorts and is written differently by nearly every other way of writing JSON.
describe.each([
  {
    name: 'derivation-1.json',
    hash: 'd3df4349f623f8b00fea7b85ec0ef4d1ad757579f3bf6726a6506a96f763c1ae',
    hashOf: (document: unknown) => derivationHash(document as Derivation),
  },
  {
    name: 'buildKey-1.json',
    hash: 'd3ebb5a360aaf820872dad932b0e5aaec68f886d5fd80bfda0db881fb5ede0d9',
    hashOf: (document: unknown) => buildKey(document as BuildKeyDocument),
  },
])('the golden file $name', ({ name, hash, hashOf }) => {
  it('has its hash for ever', () => {
    expect(hashOf(JSON.parse(golden(name)))).toBe(hash);
  });

  it('is canonical, whatever the order that its members are given in', () => {
    const reversed = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(reversed);
      if (value === null || typeof value !== 'object') return value;
      return Object.fromEntries(
        Object.entries(value as object)
          .toReversed()
          .map(([key, member]) => [key, reversed(member as Json)]),
      );
    };
    expect(canonicalJson(reversed(JSON.parse(golden(name)) as Json))).toBe(golden(name));
  });
});
