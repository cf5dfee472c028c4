import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { unpackLz4 } from '../../src/formats/lz4.ts';
import { unpackLzma } from '../../src/formats/lzma.ts';
import { unpackXz } from '../../src/formats/xz.ts';
import { undoX86Filter } from '../../src/formats/x86Filter.ts';

const LIMIT = 1 << 26;

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const pack = (program: string, options: readonly string[], content: Uint8Array): Buffer => {
  const { status, stdout } = spawnSync(program, [...options, '-c'], { input: content, maxBuffer: LIMIT });
  expect(status).toBe(0);
  return stdout;
};

/** A program, words that repeat, nothing that repeats, and next to nothing. */
const CONTENTS: readonly (readonly [string, Buffer])[] = [
  ['a program', readProgram()],
  ['text', Buffer.from('coreboot and Linux; '.repeat(20_000))],
  [
    'noise',
    Buffer.from(fc.sample(fc.uint8Array({ minLength: 70_000, maxLength: 70_000 }), { seed: 1, numRuns: 1 })[0] ?? []),
  ],
  ['one byte', Buffer.from('x')],
];

function readProgram(): Buffer {
  return spawnSync('cat', ['/bin/bash'], { maxBuffer: LIMIT }).stdout;
}

describe.skipIf(!has('xz'))(has('xz') ? 'xz and LZMA' : 'xz and LZMA (skipped: xz is not installed)', () => {
  for (const [name, content] of CONTENTS) {
    test.each([
      ['.lzma', ['--format=lzma']],
      ['xz, CRC32, x86 filter', ['--check=crc32', '--x86', '--lzma2=dict=1MiB']],
      ['xz, SHA-256, other properties', ['--check=sha256', '--lzma2=lc=0,lp=2,pb=0']],
      ['xz in several blocks', ['-T1', '--block-size=50000']],
    ])(`${name}: %s unpacks to what was packed`, (format, options) => {
      const packed = pack('xz', options, content);
      const unpacked = format === '.lzma' ? unpackLzma(packed, LIMIT) : unpackXz(packed, LIMIT).content;
      expect(content.equals(unpacked)).toBe(true);
    });
  }

  const text = CONTENTS[1]?.[1] as Buffer;
  test('a stream says where it ends, and what follows is left alone', () => {
    const packed = pack('xz', ['--check=crc32'], text);
    expect(unpackXz(Buffer.concat([packed, Buffer.from('more')]), LIMIT).size).toBe(packed.length);
  });

  test('more than the limit is refused before it is made', () => {
    expect(() => unpackXz(pack('xz', [], text), text.length - 1)).toThrow(/more than/);
    expect(() => unpackLzma(pack('xz', ['--format=lzma'], text), text.length - 1)).toThrow(/LZMA|more than/);
  });

  test('whatever is cut off is refused', () => {
    const xz = pack('xz', ['--check=crc32'], text);
    const lzma = pack('xz', ['--format=lzma'], text);
    fc.assert(
      fc.property(fc.nat(xz.length - 1), (size) => throwsFormatError(() => unpackXz(xz.subarray(0, size), LIMIT))),
    );
    fc.assert(
      fc.property(fc.nat(lzma.length - 1), (size) =>
        throwsFormatError(() => unpackLzma(lzma.subarray(0, size), LIMIT)),
      ),
    );
  });

  test('a byte that turned over is refused, or what comes out is right', () => {
    const xz = pack('xz', ['--check=crc32', '--x86', '--lzma2=dict=1MiB'], text);
    fc.assert(
      fc.property(fc.nat(xz.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(xz);
        damaged[at] = (damaged[at] as number) ^ change;
        try {
          return text.equals(unpackXz(damaged, LIMIT).content);
        } catch (error) {
          return error instanceof FormatError;
        }
      }),
    );
  });
});

describe.skipIf(!has('lz4'))(has('lz4') ? 'LZ4' : 'LZ4 (skipped: lz4 is not installed)', () => {
  test.each(CONTENTS)('%s unpacks to what was packed', (_, content) => {
    expect(content.equals(unpackLz4(pack('lz4', ['-9'], content), LIMIT))).toBe(true);
    expect(content.equals(unpackLz4(pack('lz4', ['-1', '-BX', '--content-size'], content), LIMIT))).toBe(true);
  });
});

describe('damaged input', () => {
  const beginnings = [Buffer.from('fd377a585a0000016922de36', 'hex'), Buffer.from('5d0000800010000000000000', 'hex')];
  test.each([
    ['xz', (bytes: Uint8Array) => unpackXz(bytes, LIMIT)],
    ['LZMA', (bytes: Uint8Array) => unpackLzma(bytes, LIMIT)],
    ['LZ4', (bytes: Uint8Array) => unpackLz4(bytes, LIMIT)],
  ])('%s: anything at all unpacks or is refused with a FormatError', (_, unpack) => {
    const lz4 = Buffer.from('04224d186040', 'hex');
    fc.assert(
      fc.property(
        fc.constantFrom(Buffer.alloc(0), lz4, ...beginnings),
        fc.uint8Array({ maxLength: 200 }),
        (start, rest) => {
          try {
            unpack(Buffer.concat([start, rest]));
            return true;
          } catch (error) {
            return error instanceof FormatError;
          }
        },
      ),
    );
  });

  test('the x86 filter takes bytes of any kind', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => (undoX86Filter(bytes), true)));
  });
});

function throwsFormatError(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch (error) {
    return error instanceof FormatError;
  }
}
