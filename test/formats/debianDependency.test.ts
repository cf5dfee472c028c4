import { describe, expect, it } from 'vitest';
import { formatAlternatives, parseDependencies, versionMatches } from '../../src/formats/debianDependency.ts';

const shown = (field: string, architecture?: string): string[] =>
  parseDependencies(field, architecture).map(formatAlternatives);

describe('parseDependencies', () => {
  it('reads clauses, alternatives, versions and qualifiers', () => {
    expect(parseDependencies('libc6 (>= 2.36), awk, perl:any | python3:native (<<4)')).toEqual([
      [{ name: 'libc6', qualifier: undefined, version: { relation: '>=', version: '2.36' } }],
      [{ name: 'awk', qualifier: undefined, version: undefined }],
      [
        { name: 'perl', qualifier: 'any', version: undefined },
        { name: 'python3', qualifier: 'native', version: { relation: '<<', version: '4' } },
      ],
    ]);
  });

  it('takes white space as it comes, and a trailing comma', () => {
    expect(shown('a(=1),\nb\t|c ( >= 2 ) ,')).toEqual(['a (= 1)', 'b | c (>= 2)']);
    expect(shown('')).toEqual([]);
  });

  it('reads the obsolete < and > as dpkg does', () => {
    expect(shown('a (< 1), b (> 1)')).toEqual(['a (<= 1)', 'b (>= 1)']);
  });

  it('keeps what an architecture restriction allows', () => {
    const field = 'a [amd64 i386], b [arm64] | c, d [!amd64], e [!arm64], f [linux-any], g [any-amd64], h [hurd-any]';
    expect(shown(field)).toEqual(['a', 'c', 'e', 'f', 'g']);
    expect(shown(field, 'arm64')).toEqual(['b | c', 'd', 'f']);
  });

  it.each(['A', 'a b', 'a (1)', 'a (>= )', 'a (>= 1', 'a | ', 'a:', 'a <!nocheck>', '-a', 'a (=> 1)'])(
    'refuses %j',
    (field) => {
      expect(() => parseDependencies(field)).toThrow(/not a package relation/);
    },
  );
});

describe('versionMatches', () => {
  const [[versioned], [plain]] = parseDependencies('a (>= 2), a') as [[never], [never]];

  it('compares versions, and lets an unversioned Provides meet only an unversioned relation', () => {
    expect(versionMatches(versioned, '2')).toBe(true);
    expect(versionMatches(versioned, '1.9')).toBe(false);
    expect(versionMatches(versioned, undefined)).toBe(false);
    expect(versionMatches(plain, undefined)).toBe(true);
  });
});
