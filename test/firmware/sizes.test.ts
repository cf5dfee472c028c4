import { describe, expect, it } from 'vitest';
import { flashUse } from '../../src/firmware/flashUse.ts';
import { readRom } from '../../src/firmware/parts/readRom.ts';
import { findProducers, type MadeFile } from '../../src/firmware/producers.ts';
import { growths, roomRows } from '../../src/firmware/sizes.ts';
import { walk } from '../../src/firmware/parts/part.ts';
import { sha256 } from '../../src/model/digest.ts';
import { BIOS, CHIP, SLOTS, testRom } from '../support/testRom.ts';

const OWN = { fspSize: 16384, microcodeSizes: [2048, 1024] };

describe('what takes the room', () => {
  const root = readRom(testRom(OWN), 'test.rom');
  it('is listed file by file, and the payload by segment', () => {
    const rows = roomRows(root);
    expect(rows.map(({ name }) => name)).toContain('fallback/payload › initramfs');
    expect(rows.map(({ size }) => size)).toEqual(rows.map(({ size }) => size).toSorted((a, b) => b - a));
    expect(rows[0]?.name).toBe('fspm.bin');
  });

  it('and the budget count all but the free room of the file system and the vendor’s share', () => {
    const flash = { size: CHIP, taken: { vendor: BIOS }, budget: 100_000 };
    const use = flashUse(root, flash);
    const empty = [...walk(root)].find(({ part }) => part.name === '(empty)' && part.header !== undefined)?.part;
    expect(use).toEqual({
      size: CHIP,
      taken: BIOS,
      used: CHIP - BIOS - (empty?.content.length ?? 0),
      budget: 100_000,
      free: 100_000 - (use?.used ?? 0),
    });
    expect(flashUse(root, { ...flash, size: CHIP + 1 })).toBeUndefined();
  });

  it('shows what grew and shrank, most first', () => {
    const after = readRom(
      testRom({ ...OWN, fspSize: 24576, init: '#!/bin/sh\nexec bb\n', commandLine: 'quiet' }),
      'rom',
    );
    const grown = growths(root, after);
    expect(
      grown.map(({ name, before, after: now, packed }) => [name.split(' › ').at(-1), now - before, packed]),
    ).toEqual([
      ['fspm.bin', 8192, false],
      ['initramfs', expect.any(Number), false],
      ['command line', -8, false],
      ['init', 8, true],
    ]);
  });
});

describe('where parts are from', () => {
  const image = testRom(OWN);
  const root = readRom(image, 'test.rom');
  const parts = [...walk(root)].map(({ part }) => part);
  const named = (name: string) => parts.find((part) => part.name === name) as (typeof parts)[number];
  const file = (target: string, name: string, content: Uint8Array): MadeFile => ({
    target,
    name,
    digest: sha256(content),
    size: content.length,
    read: async () => content,
  });

  it('is told by content: files of artifacts, the kernel of a bzImage, files of an earlier image, slots', async () => {
    const setup = Buffer.alloc(1024);
    setup.writeUInt8(1, 0x1f1);
    setup.write('HdrS', 0x202, 'latin1');
    const files = [
      file('linux', 'bzImage', Buffer.concat([setup, named('kernel').content])),
      file('u-root', 'initramfs.cpio.gz', named('initramfs').content),
      file('coreboot', 'coreboot.rom', testRom()),
      file('rom', 'test.rom', image),
    ];
    const producers = await findProducers(root, files, SLOTS);
    const from = (name: string) => producers.get(named(name));
    expect(from('kernel')).toEqual({ target: 'linux', file: 'bzImage' });
    expect(from('initramfs')).toEqual({ target: 'u-root', file: 'initramfs.cpio.gz' });
    expect(from('fallback/romstage')).toEqual({ target: 'coreboot', file: 'coreboot.rom' });
    expect(from('fspm.bin')).toEqual({ slot: 'fsp' });
    expect(producers.get(root)).toEqual({ target: 'rom', file: 'test.rom' });
    expect(from('bootblock')).toEqual({ target: 'coreboot', file: 'coreboot.rom' });
  });

  it('is the first that had the bytes, and nobody for what nobody made', async () => {
    const initramfs = named('initramfs').content;
    const files = [file('first', 'a', initramfs), file('second', 'b', initramfs)];
    const producers = await findProducers(root, files, {});
    expect([...producers.values()]).toEqual([{ target: 'first', file: 'a' }]);
  });
});
