import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { listZip, type RandomAccess, readZipEntry } from '../../src/formats/zipReader.ts';
import { ZipWriter } from '../../src/formats/zipWriter.ts';
import { sha256 } from '../../src/model/digest.ts';

const LIMITS = { totalSize: 1_000_000 };

function inMemory(bytes: Uint8Array): RandomAccess {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

function write(files: Readonly<Record<string, string>>): Buffer {
  const writer = new ZipWriter();
  const names = Object.keys(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const pieces = names.flatMap((name) => writer.add(name, Buffer.from(files[name] ?? '')));
  return Buffer.concat([...pieces, ...writer.end()]);
}

function read(bytes: Uint8Array): Record<string, string> {
  const archive = inMemory(bytes);
  return Object.fromEntries(
    listZip(archive, LIMITS).map((entry) => [entry.name, Buffer.from(readZipEntry(archive, entry)).toString()]),
  );
}

/** Makes the first entry called `from` be called `to`, of the same length, in both its headers. */
function rename(zip: Buffer, from: string, to: string): Buffer {
  return Buffer.from(zip.toString('latin1').replaceAll(from, to), 'latin1');
}

describe('writer', () => {
  test('the bytes are the recorded ones', () => {
    expect(sha256(write({ 'a/b': 'hello', ä: '', a: 'x' }))).toMatchInlineSnapshot(
      `"4b5f31132c69b792432577f6580b9797ff94c158e07bfa312ceee2843324db66"`,
    );
  });

  test.skipIf(spawnSync('unzip', ['-v']).status !== 0)('unzip reads and tests it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vmbuild-zip-'));
    try {
      writeFileSync(join(folder, 'a.zip'), write({ 'd/file': 'hello', other: '' }));
      execFileSync('unzip', ['-tq', join(folder, 'a.zip')]);
      execFileSync('unzip', ['-q', join(folder, 'a.zip'), '-d', folder]);
      expect(readFileSync(join(folder, 'd/file'), 'utf8')).toBe('hello');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('refuses disorder and repetition', () => {
    const writer = new ZipWriter();
    writer.add('b', Buffer.alloc(0));
    for (const name of ['a', 'b']) expect(() => writer.add(name, Buffer.alloc(0))).toThrow(RangeError);
  });

  test('refuses what needs zip64', () => {
    const writer = new ZipWriter();
    expect(() => writer.add('a', { length: 0xffffffff } as Uint8Array)).toThrow(RangeError);
    for (let index = 0; index < 0xffff; index++) writer.add(String(index).padStart(5, '0'), Buffer.alloc(0));
    expect(() => writer.end()).toThrow(RangeError);
  });
});

describe('reader', () => {
  test('reads what the writer wrote, whatever it was', () => {
    const name = fc.stringMatching(/^[a-z]{1,4}$/);
    fc.assert(
      fc.property(fc.dictionary(name, fc.string({ unit: 'grapheme' })), (files) => {
        expect(read(write(files))).toEqual({ ...files });
      }),
      { numRuns: 50 },
    );
  });

  test.skipIf(spawnSync('zip', ['-v']).status !== 0)(
    'reads what zip wrote: deflated, with folders and extra fields',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'vmbuild-zip-'));
      try {
        mkdirSync(join(folder, 'd'));
        writeFileSync(join(folder, 'd/file'), 'hello '.repeat(1000));
        execFileSync('zip', ['-qr', 'a.zip', 'd'], { cwd: folder });
        expect(read(readFileSync(join(folder, 'a.zip')))).toEqual({ 'd/': '', 'd/file': 'hello '.repeat(1000) });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test('never takes damaged bytes for good ones, and fails only in its own way', () => {
    const good = write({ one: 'some content', two: 'other content' });
    const whole = read(good);
    for (let index = 0; index < good.length; index++) {
      const bad = Buffer.from(good);
      bad[index] = (bad[index] ?? 0) ^ 0x41;
      try {
        // A few fields (times, versions, attributes) say nothing about the content.
        expect(Object.values(read(bad))).toEqual(Object.values(whole));
      } catch (error) {
        expect(String(error)).toMatch(/^ZipError: /);
      }
    }
    for (let length = 0; length < good.length; length++) expect(() => read(good.subarray(0, length))).toThrow(/zip/);
  });

  test.each(['../x', '/abs', 'a/../', './ab', 'a//b', 'a\\bc', 'a\u0000b', 'a\nbc', 'a/./'])(
    'refuses the name %j',
    (evil) => {
      const zip = rename(write({ ['~'.repeat(evil.length)]: '' }), '~'.repeat(evil.length), evil);
      expect(() => read(zip)).toThrow(/refused/);
    },
  );

  test('refuses a name that is not UTF-8', () => {
    expect(() => read(rename(write({ '~~': '' }), '~~', '\xff\xfe'))).toThrow(/not UTF-8/);
  });

  test('refuses two entries of one name', () => {
    expect(() => read(rename(write({ ab: '1', ac: '2' }), 'ac', 'ab'))).toThrow(
      'two entries of the zip are called "ab"',
    );
  });

  test('refuses a file that is a folder as well', () => {
    expect(() => read(write({ a: '1', 'a/b': '2' }))).toThrow('"a" is a file and a directory');
  });

  test('refuses an entry whose own header has another name', () => {
    const zip = write({ ab: '1' });
    zip.write('xy', 30);
    expect(() => read(zip)).toThrow(/another name in its own header/);
  });

  test('refuses more than the limit before it unpacks anything', () => {
    expect(() => listZip(inMemory(write({ a: 'x'.repeat(600), b: 'x'.repeat(600) })), { totalSize: 1000 })).toThrow(
      /more than 1000/,
    );
  });

  test('a bomb stops at the announced size', () => {
    const bomb = deflated('bomb', Buffer.alloc(50_000_000), 1000);
    const archive = inMemory(bomb);
    const [entry] = listZip(archive, LIMITS);
    expect(() => entry && readZipEntry(archive, entry)).toThrow(/zip entry "bomb"/);
  });

  test.each([
    ['encrypted', 8, 1, /encrypted/],
    ['of an unknown method', 10, 12, /unsupported method/],
    ['of zip64', 42, 0xffff, undefined],
  ])('refuses an entry that is %s', (_, offset, value, message) => {
    const zip = write({ a: '1' });
    const central = zip.indexOf('PK\x01\x02', 0, 'latin1');
    zip.writeUInt16LE(value, central + offset);
    expect(() => read(zip)).toThrow(message ?? /zip/);
  });
});

/** A zip of one deflated entry which announces `announced` bytes. */
function deflated(name: string, content: Buffer, announced: number): Buffer {
  const packed = deflateRawSync(content);
  // A stored zip of the packed bytes, then the method and the sizes changed in both headers.
  const writer = new ZipWriter();
  const zip = Buffer.concat([...writer.add(name, packed), ...writer.end()]);
  const central = zip.lastIndexOf('PK\x01\x02', undefined, 'latin1');
  zip.writeUInt16LE(8, central + 10);
  zip.writeUInt32LE(announced, central + 24);
  return zip;
}
