import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { findLinuxBanner, readBzImage, readZeroPage } from '../../src/formats/bzImage.ts';
import { hashesOf, readCbfs, stageOf } from '../../src/formats/cbfs.ts';
import { readCpio } from '../../src/formats/cpio.ts';
import { findFlashMap } from '../../src/formats/fmap.ts';
import { readPayloadSegments } from '../../src/formats/payloadSegment.ts';
import { cbfs, cbfsAttribute, type CbfsFileSpec, cpioArchive, flashMap } from '../support/romBuilder.ts';
import { temporary } from '../support/temporary.ts';

const hasCbfstool = spawnSync('cbfstool', ['--help']).error === undefined;

const CONTENT = Buffer.from('what is in it');
const SHA256 = createHash('sha256').update(CONTENT).digest();
const STAGE = Buffer.from('00000000feff0000' + '00000031' + '00004ca0', 'hex');
const FILES: readonly CbfsFileSpec[] = [
  { name: 'fallback/romstage', type: 0x11, content: CONTENT, attributes: [cbfsAttribute(0x53746748, STAGE)] },
  {
    name: 'config',
    type: 0x50,
    content: CONTENT,
    attributes: [
      cbfsAttribute(0x42435a4c, Buffer.from('0000000100001234', 'hex')),
      cbfsAttribute(0x68736148, Buffer.concat([Buffer.from([0, 0, 0, 2]), SHA256])),
    ],
  },
  { name: 'fspm.bin', type: 0x60, content: Buffer.alloc(1000, 1) },
];

describe('flash map', () => {
  const map = flashMap(0x10000, [
    ['BIOS', 0, 0x10000],
    ['COREBOOT', 0x200, 0xfe00, 5],
  ]);
  test('is found wherever it lies, behind a signature that is none', () => {
    const image = Buffer.concat([Buffer.from('__FMAP__ is what a program looks for'), Buffer.alloc(999), map]);
    expect(findFlashMap(image)).toEqual({
      offset: image.length - map.length,
      length: map.length,
      version: '1.1',
      name: 'FLASH',
      size: 0x10000,
      areas: [
        { name: 'BIOS', offset: 0, size: 0x10000, flags: [] },
        { name: 'COREBOOT', offset: 0x200, size: 0xfe00, flags: ['static', 'read-only'] },
      ],
    });
  });
  test('one that is cut off is none', () => {
    for (let size = 0; size < map.length; size++) expect(findFlashMap(map.subarray(0, size))).toBeUndefined();
  });
});

describe('CBFS', () => {
  const area = cbfs(0x2000, FILES);
  test('files, attributes, hashes and free room are read', () => {
    const files = readCbfs(area);
    expect(
      files.map(({ name, typeName, content, compression, unpackedSize, empty }) => [
        name,
        typeName,
        content.length,
        compression,
        unpackedSize,
        empty,
      ]),
    ).toEqual([
      ['fallback/romstage', 'stage', CONTENT.length, 'none', CONTENT.length, false],
      ['config', 'raw', CONTENT.length, 'LZMA', 0x1234, false],
      ['fspm.bin', 'fsp', 1000, 'none', 1000, false],
      ['', 'null', expect.any(Number), 'none', expect.any(Number), true],
    ]);
    expect(files[0] && stageOf(files[0])).toEqual({ loadAddress: 0xfeff0000n, entry: 0xfeff0031n, memorySize: 0x4ca0 });
    expect(files[1] && hashesOf(files[1])).toEqual([
      { algorithm: 'sha256', digest: SHA256.toString('hex'), valid: true },
    ]);
  });

  test('a hash that does not fit is told', () => {
    const damaged = Buffer.from(area);
    damaged.write('What', damaged.lastIndexOf(CONTENT));
    expect(readCbfs(damaged).flatMap(hashesOf)).toMatchObject([{ valid: false }]);
  });

  test('what is damaged is stepped over, and the next file is found', () => {
    const damaged = Buffer.from(area);
    damaged.writeUInt32BE(0xffffff, 8);
    expect(readCbfs(damaged).map(({ name }) => name)).toEqual(['config', 'fspm.bin', '']);
  });

  test('any bytes are read without an end in sight being missed', () => {
    fc.assert(
      fc.property(fc.nat(area.length - 1), fc.uint8Array({ minLength: 1, maxLength: 40 }), (at, change) => {
        const damaged = Buffer.from(area);
        damaged.set(change.subarray(0, damaged.length - at), at);
        for (const { offset, headerSize, content } of readCbfs(damaged)) {
          expect(offset + headerSize + content.length).toBeLessThanOrEqual(area.length);
        }
      }),
    );
  });

  test.skipIf(!hasCbfstool)(
    hasCbfstool ? 'agrees with cbfstool' : 'agrees with cbfstool (skipped: cbfstool is not installed)',
    async () => {
      const folder = await temporary();
      const rom = join(folder, 'test.rom');
      const program = join(folder, 'program');
      await writeFile(
        program,
        Buffer.concat(Array.from({ length: 400 }, (_, index) => Buffer.from(`line ${index}\n`))),
      );
      const map = flashMap(0x20000, [
        ['FMAP', 0, 0x200],
        ['COREBOOT', 0x200, 0x1fe00],
      ]);
      await writeFile(rom, Buffer.concat([map, Buffer.alloc(0x200 - map.length, 0xff), cbfs(0x1fe00, [])]));
      const cbfstool = (...options: string[]): string => {
        const { status, stdout, stderr } = spawnSync('cbfstool', [rom, ...options], { encoding: 'utf8' });
        expect([status, stderr]).toEqual([0, expect.any(String)]);
        return stdout;
      };
      cbfstool('add', '-f', program, '-n', 'plain', '-t', 'raw', '-A', 'sha256');
      cbfstool('add', '-f', program, '-n', 'a/packed', '-t', 'raw', '-c', 'lzma', '-A', 'sha256');
      cbfstool('add', '-f', program, '-n', 'lz4', '-t', 'raw', '-c', 'lz4');
      cbfstool('add', '-f', program, '-n', 'blob', '-t', 'fsp', '-b', '0x8000');
      cbfstool('add', '-f', program, '-n', 'update', '-t', 'microcode', '-a', '16');
      const image = await readFile(rom);
      const found = findFlashMap(image)?.areas.find(({ name }) => name === 'COREBOOT');
      const files = readCbfs(image.subarray(found?.offset, (found?.offset ?? 0) + (found?.size ?? 0)));
      const ours = files.map(({ name, offset, typeName, content, compression, unpackedSize }) =>
        [
          name === '' ? '(empty)' : name,
          `0x${offset.toString(16)}`,
          typeName,
          content.length,
          compression,
          ...(compression === 'none' ? [] : [`(${unpackedSize} decompressed)`]),
        ].join(' '),
      );
      const theirs = cbfstool('print')
        .trimEnd()
        .split('\n')
        .slice(2)
        .map((line) => line.trim().replace(/\s+/g, ' '));
      expect(ours).toEqual(theirs);
      expect(files.flatMap(hashesOf).map(({ valid }) => valid)).toEqual([true, true]);
    },
  );
});

describe('payload', () => {
  const entry = (type: string, compression: number, offset: number, size: number): Buffer => {
    const bytes = Buffer.alloc(28);
    bytes.write(type, 'latin1');
    [compression, offset, 0, 0x100000, size, 0x2000].forEach((value, index) =>
      bytes.writeUInt32BE(value, 4 + 4 * index),
    );
    return bytes;
  };
  test('segments are read up to the entry point', () => {
    const payload = Buffer.concat([entry('CODE', 1, 84, 4), entry('BSS ', 0, 0, 99), entry('ENTR', 0, 0, 0), CONTENT]);
    expect(readPayloadSegments(payload)).toMatchObject([
      { type: 'CODE', compression: 'LZMA', loadAddress: 0x100000n, content: Buffer.from('what'), memorySize: 0x2000 },
      { type: 'BSS', content: Buffer.alloc(0) },
      { type: 'ENTR' },
    ]);
  });
  test.each([
    ['a table without an end', entry('CODE', 0, 0, 4)],
    ['a segment outside', Buffer.concat([entry('CODE', 0, 56, 4), entry('ENTR', 0, 0, 0)])],
    ['nothing', Buffer.alloc(0)],
  ])('%s is refused', (_, payload) => {
    expect(() => readPayloadSegments(payload)).toThrow(FormatError);
  });
});

describe('Linux', () => {
  const kernel = Buffer.alloc(0x1000);
  kernel.writeUInt8(3, 0x1f1);
  kernel.write('HdrS', 0x202, 'latin1');
  kernel.writeUInt16LE(0x20f, 0x206);
  kernel.writeUInt16LE(0x300, 0x20e);
  kernel.writeUInt32LE(0x2c4, 0x248);
  kernel.writeUInt32LE(77, 0x24c);
  kernel.write('6.12.107 (a@b) #1\0', 0x500, 'latin1');
  test('the header of a bzImage is read', () => {
    expect(readBzImage(kernel)).toEqual({
      protocol: '2.15',
      version: '6.12.107 (a@b) #1',
      setupSize: 2048,
      payload: { offset: 0x2c4, size: 77 },
    });
  });
  test('something else, or a bzImage that is cut off, is refused', () => {
    expect(() => readBzImage(Buffer.alloc(4096))).toThrow(FormatError);
    expect(() => readBzImage(kernel.subarray(0, 0x400))).toThrow(FormatError);
  });
  test("cbfstool's zero page and the kernel's banner are read", () => {
    const page = Buffer.alloc(4096);
    page.writeUInt16LE(0x20f, 0x206);
    [0x1000000, 0x4000000, 1234].forEach((value, index) => page.writeUInt32LE(value, 0x214 + 4 * index));
    expect(readZeroPage(page)).toMatchObject({ protocol: '2.15', kernelAddress: 0x1000000, initrdSize: 1234 });
    expect(readZeroPage(Buffer.alloc(4096))).toBeUndefined();
    expect(findLinuxBanner(Buffer.from('Linux version %s\0Linux version 6.1 (x)\n'))).toBe('6.1 (x)');
    expect(findLinuxBanner(Buffer.from('nothing'))).toBeUndefined();
  });
});

describe('cpio', () => {
  const archive = cpioArchive([
    ['bin', 0o40755, ''],
    ['bin/tool', 0o100755, 'abc'],
    ['init', 0o120777, 'bin/tool'],
  ]);
  test('entries of archives that follow one another are read', () => {
    const both = Buffer.concat([archive, Buffer.alloc(512), archive, Buffer.from('rest')]);
    const { entries, size } = readCpio(both);
    expect(size).toBe(both.length - 4);
    expect(entries.map(({ name, type, content }) => [name, type, content.toString()])).toEqual(
      [0, 1].flatMap(() => [
        ['bin', 'folder', ''],
        ['bin/tool', 'file', 'abc'],
        ['init', 'link', 'bin/tool'],
      ]),
    );
  });
  test('no archive is read as nothing; what is damaged or cut off is refused or ends', () => {
    expect(readCpio(Buffer.from('no archive'))).toEqual({ entries: [], size: 0 });
    fc.assert(
      fc.property(fc.nat(archive.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(archive);
        damaged[at] = byte;
        for (const bytes of [damaged, archive.subarray(0, at)]) {
          try {
            readCpio(bytes);
          } catch (error) {
            if (!(error instanceof FormatError)) throw error;
          }
        }
      }),
    );
  });
});
