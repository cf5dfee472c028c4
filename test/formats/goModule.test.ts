import { describe, expect, test } from 'vitest';
import { escapeModulePath, escapeModuleVersion, goModHash, hash1, parseGoSum } from '../../src/formats/goModule.ts';
import { sha256 } from '../../src/model/digest.ts';

const SUM = 'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';
const OTHER = 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=';

describe('escaping', () => {
  test('upper case becomes ! and lower case', () => {
    expect(escapeModulePath('github.com/Azure/azure-SDK')).toBe('github.com/!azure/azure-!s!d!k');
    expect(escapeModuleVersion('v1.0.0-RC1+incompatible')).toBe('v1.0.0-!r!c1+incompatible');
  });

  test.each([
    '',
    '/a',
    'a/',
    'a//b',
    '../a',
    'a/../b',
    'a/.b',
    'a.',
    'a b',
    'a!b',
    'ä',
    'a\\b',
    'a\nb',
    'a?b',
    'a%2fb',
  ])('refuses the path %j', (path) => expect(() => escapeModulePath(path)).toThrow(/not a Go module path/));

  test.each(['', 'latest', '1.0.0', 'v1.0', 'v1.0.0/../x', 'v1.0.0-a b', 'v1.0.0\n'])(
    'refuses the version %j',
    (version) => expect(() => escapeModuleVersion(version)).toThrow(/not a Go module version/),
  );
});

describe('hash1', () => {
  test('is the hash that the go command computes', () => {
    // Of the go.mod of the module golang.org/toolchain, as `go mod download -json` shows it.
    expect(goModHash(Buffer.from('module golang.org/toolchain\n'))).toBe(
      'h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=',
    );
    expect(hash1([])).toBe(SUM);
  });

  test('does not depend on the order of the files, and sorts by bytes', () => {
    const files = ['b', 'a/b', 'a', '\u{1f600}', '\uff5e', 'B'].map((name) => ({ name, sha256: sha256(name) }));
    expect(hash1(files.toReversed())).toBe(hash1(files));
  });

  test('refuses a newline, which could imitate other files', () => {
    expect(() => hash1([{ name: 'a\nb', sha256: sha256('') }])).toThrow(TypeError);
  });
});

describe('parseGoSum', () => {
  test('joins the two lines of a module and sorts', () => {
    const text = [
      `example.com/b v1.0.0 ${SUM}`,
      `example.com/b v1.0.0/go.mod ${OTHER}`,
      `example.com/a v0.0.0-20250101000000-0123456789ab/go.mod ${OTHER}`,
      `example.com/b v1.0.0 ${SUM}`,
      '',
    ].join('\n');
    expect(parseGoSum(text)).toEqual([
      { path: 'example.com/a', version: 'v0.0.0-20250101000000-0123456789ab', mod: OTHER },
      { path: 'example.com/b', version: 'v1.0.0', zip: SUM, mod: OTHER },
    ]);
    expect(parseGoSum('')).toEqual([]);
  });

  test.each([
    ['example.com/a v1.0.0', 'expected a module, a version and a hash'],
    [`example.com/a v1.0.0 ${SUM} more`, 'expected a module, a version and a hash'],
    ['example.com/a v1.0.0 h2:abc', 'not an h1: hash'],
    ['example.com/a v1.0.0 h1:abc', 'not an h1: hash'],
    [`../a v1.0.0 ${SUM}`, 'not a Go module path'],
    [`example.com/a ../v1 ${SUM}`, 'not a Go module version'],
  ])('refuses %j and names the line', (line, why) => {
    expect(() => parseGoSum(`\n${line}\n`)).toThrow(`go.sum, line 2: ${why}`);
  });

  test('refuses two hashes for one file', () => {
    const text = `example.com/a v1.0.0 ${SUM}\nexample.com/a v1.0.0 ${OTHER}\n`;
    expect(() => parseGoSum(text)).toThrow('go.sum, line 2: a second hash for example.com/a v1.0.0');
  });
});
