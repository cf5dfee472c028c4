import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Comparison, compareDump } from '../../src/firmware/compareDump.ts';
import { pathText } from '../../src/firmware/compareTrees.ts';
import { BIOS, CHIP, SLOTS, type TestRom, testRom } from '../support/testRom.ts';

const OWN = { fspSize: 16384, microcodeSizes: [2048, 1024] };

function compare(image: TestRom, dump: TestRom): Comparison {
  return compareDump(testRom(image), testRom(dump), SLOTS);
}

function told({ differences, apart }: Comparison): readonly (readonly string[])[] {
  return [differences.map(pathText), apart.map(({ difference, why }) => `${pathText(difference)}: ${why}`)];
}

describe('a dump beside the image', () => {
  it('is the same', () => {
    expect(compare(OWN, OWN)).toEqual({ verdict: 'same', differences: [], apart: [] });
  });

  it('of a machine that has run, with its descriptor and its management engine, is the same but for these', () => {
    const comparison = compare(OWN, { ...OWN, me: 'ME', mrcCache: 'trained' });
    expect(comparison.verdict).toBe('same-but-apart');
    expect(told(comparison)).toEqual([
      [],
      [
        'SI_ALL › SI_DESC: vendor blob descriptor',
        'SI_ALL › SI_ME: vendor blob me',
        'SI_BIOS › RW_MRC_CACHE: written by the machine',
      ],
    ]);
  });

  it('with other blobs is the same but for these, and for what points to them', () => {
    const comparison = compare({}, OWN);
    expect(comparison.verdict).toBe('same-but-apart');
    const [ours, apart] = told(comparison);
    expect(ours).toEqual([]);
    expect(apart).toContain('SI_BIOS › COREBOOT › fspm.bin: vendor blob fsp');
    expect(apart).toContain('SI_BIOS › COREBOOT › intel_fit › microcode: depends on the vendor blobs');
  });

  it('with something else of ours is different, by region and file', () => {
    const comparison = compare(OWN, { ...OWN, fspSize: 24576, me: 'ME', init: '#!/bin/bb\n', commandLine: 'quiet' });
    expect(comparison.verdict).toBe('different');
    const [ours, apart] = told(comparison);
    const payload = 'SI_BIOS › COREBOOT › fallback/payload';
    expect(ours).toEqual([`${payload} › (rest)`, `${payload} › command line`, `${payload} › initramfs › init`]);
    expect(apart?.join('\n')).toMatch(/SI_BIOS › COREBOOT › fspm\.bin .*: vendor blob fsp/);
  });

  it('that is cut off, or of another board, is different as a whole', () => {
    const cut = compareDump(testRom(OWN), testRom(OWN).subarray(0, CHIP / 2), SLOTS);
    expect(cut.verdict).toBe('different');
    expect(cut.differences.length).toBeGreaterThan(0);
    const other = Buffer.alloc(CHIP, 'vendor');
    const { verdict, differences } = compareDump(testRom(OWN), other, SLOTS);
    expect([verdict, differences.map(({ change }) => change)]).toEqual(['different', ['removed', 'removed']]);
  });

  it('is never different without saying where, and never the same with a changed byte of ours', () => {
    const image = testRom(OWN);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: CHIP - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const dump = Buffer.from(image);
        dump[at] = (dump[at] as number) ^ change;
        const { verdict, differences, apart } = compareDump(image, dump, SLOTS);
        expect(verdict === 'different').toBe(differences.length > 0);
        expect(differences.length + apart.length).toBeGreaterThan(0);
        if (at < BIOS) expect(verdict).toBe('same-but-apart');
      }),
      { numRuns: 150 },
    );
  });
});
