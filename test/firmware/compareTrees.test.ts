import { describe, expect, it } from 'vitest';
import { compareTrees, type Difference, pathText } from '../../src/firmware/compareTrees.ts';
import { readRom } from '../../src/firmware/parts/readRom.ts';
import { type TestRom, testRom } from '../support/testRom.ts';

const FULL = { fspSize: 16384, microcodeSizes: [2048, 1024], me: 'ME', mrcCache: 'trained' };

function compare(before: Buffer, after: Buffer): readonly Difference[] {
  return compareTrees(readRom(before, 'before.rom'), readRom(after, 'after.rom'));
}

/** `change path: detail` of each difference. */
function told(before: TestRom, after: TestRom): readonly string[] {
  return compare(testRom(before), testRom(after)).map((one) => `${one.change} ${pathText(one)}: ${one.detail}`);
}

const PAYLOAD = 'bios › SI_BIOS › COREBOOT › fallback/payload';

describe('two images', () => {
  it('that are the same have no differences', () => {
    expect(told(FULL, FULL)).toEqual([]);
  });

  it.each([
    [
      'a file of the initramfs',
      { init: '#!/bin/bb\n' },
      [`changed ${PAYLOAD} › initramfs › init: 2 of 10 bytes, the first at 0x7`],
    ],
    [
      'a command line',
      { commandLine: 'console=ttyS1' },
      [`changed ${PAYLOAD} › command line: 1 of 14 bytes, the first at 0xc`],
    ],
    [
      'memory training',
      { mrcCache: 'Trained' },
      ['changed bios › SI_BIOS › RW_MRC_CACHE: 1 of 16384 bytes, the first at 0x40'],
    ],
  ])('that differ in %s, differ in that', (_, change, expected) => {
    expect(told(FULL, { ...FULL, ...change })).toEqual(expected);
  });

  it('name what came and went, with the parts of both', () => {
    const { fspSize: _fsp, ...without } = FULL;
    const found = compare(testRom(without), testRom(FULL));
    const added = found.find(({ change }) => change === 'added');
    expect(added?.before).toBeUndefined();
    expect(added && pathText(added)).toBe('bios › SI_BIOS › COREBOOT › fspm.bin');
    // The microcode made way for it, and the FIT points to where it is now.
    expect(found.map(({ after }) => after?.kind)).toEqual(['fit-entry', 'fit-entry', 'fit-entry', 'cbfs-file']);
    const removed = compare(testRom(FULL), testRom(without)).find(({ change }) => change === 'removed');
    expect([removed?.before?.name, removed?.after]).toEqual(['fspm.bin', undefined]);
  });

  it('are told apart by what headers say', () => {
    const image = testRom(FULL);
    const at = image.indexOf('build_info') - 24;
    image.writeUInt32BE(0xaa, at + 12);
    expect(compare(testRom(FULL), image)).toMatchObject([{ change: 'changed', detail: 'type: raw → cmos_default' }]);
  });

  it('never differ without a difference being named, whatever byte it is', () => {
    const image = testRom(FULL);
    for (let at = 0; at < image.length; at += 1999) {
      const other = Buffer.from(image);
      other[at] = (other[at] as number) ^ 0x55;
      expect(compare(image, other), `byte ${at.toString(16)}`).not.toEqual([]);
    }
  });

  it('that have nothing in common differ as a whole', () => {
    expect(compare(Buffer.from('one'), Buffer.from('two'))).toMatchObject([
      { change: 'changed', path: [{ name: 'after.rom' }], detail: '3 of 3 bytes, the first at 0x0' },
    ]);
  });
});
