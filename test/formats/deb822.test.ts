import { describe, expect, it } from 'vitest';
import { parseDeb822, releaseFiles } from '../../src/formats/deb822.ts';

const parse = (text: string) => [...parseDeb822(text)].map((stanza) => Object.fromEntries(stanza));

describe('parseDeb822', () => {
  it('reads paragraphs, continuation lines, comments and CRLF', () => {
    const text =
      '\n\n# about\nPackage: a\nDescription: short\n long\n .\n\tmore\n# in between\nDepends: b,\n c\n\n\nPackage:b\r\nEmpty:\r\n';
    expect(parse(text)).toEqual([
      { package: 'a', description: 'short\nlong\n.\nmore', depends: 'b,\nc' },
      { package: 'b', empty: '' },
    ]);
  });

  it('keeps colons in values, and needs no newline at the end', () => {
    expect(parse('Version: 1:2.0-1\nHomepage: https://example.org')).toEqual([
      { version: '1:2.0-1', homepage: 'https://example.org' },
    ]);
  });

  it('reads nothing from nothing', () => {
    expect(parse('')).toEqual([]);
    expect(parse('\n\n')).toEqual([]);
  });

  it.each([
    ['a line without a colon', 'Package: a\nnonsense\n', /line 2: not a field/],
    ['a line that begins with a colon', ': a\n', /line 1: not a field/],
    ['a field name with a blank', 'Two Words: a\n', /line 1: not a field name/],
    ['signature armour', '-----BEGIN PGP: x\n', /line 1: not a field name/],
    ['a continuation without a field', 'A: 1\n\n b\n', /line 3: a continuation/],
    ['the same field twice, in any case', 'A: 1\na: 2\n', /line 2: the field a appears twice/],
    ['a line of blanks', 'A: 1\n \nB: 2\n', /line 2: a line of blanks/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});

describe('releaseFiles', () => {
  const release = (value: string) => new Map([['sha256', value]]);
  const digest = 'ab'.repeat(32);

  it('maps paths to checksums and sizes', () => {
    expect([...releaseFiles(release(`\n${digest}   12 main/a\n${digest} 0 b`))]).toEqual([
      ['main/a', { sha256: digest, size: 12 }],
      ['b', { sha256: digest, size: 0 }],
    ]);
  });

  it('is empty without the field', () => {
    expect(releaseFiles(new Map()).size).toBe(0);
  });

  it.each(['abc 1 x', `${digest} x y`, `${digest} 1`, `${digest} 1 a b`])('refuses %j', (line) => {
    expect(() => releaseFiles(release(line))).toThrow(/not a line of a SHA256 field/);
  });
});
