import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { isElf, readElf } from '../../src/formats/elf.ts';
import { isPe, readPe } from '../../src/formats/pe.ts';
import { elf } from '../support/testRom.ts';

const READELF = spawnSync('readelf', ['--version']).error === undefined;

/** A PE32+ file with the sections .text and .data. */
function pe(): Buffer {
  const bytes = Buffer.alloc(0x400);
  bytes.write('MZ', 'latin1');
  bytes.writeUInt32LE(0x80, 60);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(0x8664, 0x84);
  bytes.writeUInt16LE(2, 0x86);
  bytes.writeUInt16LE(0x20, 0x94);
  bytes.writeUInt16LE(0x20b, 0x98);
  [['.text', 0x200, 0x100] as const, ['.data', 0x300, 0x80] as const].forEach(([name, offset, size], index) => {
    const at = 0xb8 + 40 * index;
    bytes.write(name, at, 'latin1');
    bytes.writeUInt32LE(size, at + 16);
    bytes.writeUInt32LE(offset, at + 20);
  });
  return bytes;
}

describe('ELF', () => {
  it('sections are read by name, place and size', () => {
    expect(readElf(elf())).toEqual({
      format: 'ELF64',
      machine: 'x86-64',
      sections: [
        { name: '.text', offset: 64, size: 100 },
        { name: '.shstrtab', offset: 164, size: 17 },
      ],
    });
    expect(isElf(Buffer.from('MZ'))).toBe(false);
  });

  it.skipIf(!READELF)(READELF ? 'agrees with readelf' : 'agrees with readelf (skipped: it is not installed)', () => {
    const program = readFileSync(process.execPath);
    const { stdout } = spawnSync('readelf', ['--wide', '--sections', process.execPath], { encoding: 'utf8' });
    const theirs = [...stdout.matchAll(/^ +\[ *\d+\] (\S+) +(\S+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)/gm)]
      .filter(([, , type]) => type !== 'NOBITS' && type !== 'NULL')
      .map(([, name, , offset = '', size = '']) => [name, parseInt(offset, 16), parseInt(size, 16)]);
    expect(theirs.length).toBeGreaterThan(10);
    expect(readElf(program).sections.map(({ name, offset, size }) => [name, offset, size])).toEqual(theirs);
  });
});

describe('PE', () => {
  it('sections are read by name, place and size', () => {
    expect(readPe(pe())).toEqual({
      format: 'PE32+',
      machine: 'x86-64',
      sections: [
        { name: '.text', offset: 0x200, size: 0x100 },
        { name: '.data', offset: 0x300, size: 0x80 },
      ],
    });
    expect([isPe(Buffer.from('MZ')), isPe(Buffer.alloc(100, 'MZ'))]).toEqual([false, false]);
  });
});

describe.each([
  ['ELF', elf(), readElf],
  ['PE', pe(), readPe],
])('damaged %s files', (_, sound, read) => {
  it('are refused, or have no section outside of the file', () => {
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, change) => {
        const bytes = Buffer.from(sound);
        bytes.set(change.subarray(0, bytes.length - at), at);
        for (const one of [bytes, bytes.subarray(0, at)]) {
          try {
            for (const { offset, size } of read(one).sections) expect(offset + size).toBeLessThanOrEqual(one.length);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
