import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskedDigest, maskedDocument } from '../../src/firmware/masked.ts';
import { readCbfs } from '../../src/formats/cbfs.ts';
import { canonicalJson } from '../../src/model/canonicalJson.ts';
import { sha256 } from '../../src/model/digest.ts';
import { BIOS, CBFS_AT, CHIP, SLOTS, testRom } from '../support/testRom.ts';

const FULL = { fspSize: 16384, microcodeSizes: [2048, 1024], me: 'ME', mrcCache: 'trained' };
const OPEN = maskedDigest(testRom(), SLOTS);

describe('the masked digest', () => {
  it('is that of the canonical JSON', () => {
    expect(OPEN).toBe(sha256(canonicalJson(maskedDocument(testRom(), SLOTS))));
  });

  it.each([
    ['blobs of any kind', FULL],
    ['a larger FSP', { ...FULL, fspSize: 24576 }],
    ['more microcode', { ...FULL, microcodeSizes: [1024, 1024, 4096] }],
    ['no microcode', { ...FULL, microcodeSizes: [] }],
    ['another management engine', { ...FULL, me: 'another' }],
    ['another memory training', { ...FULL, mrcCache: 'again' }],
    ['only the FSP', { fspSize: 8192 + 4096 }],
  ])('is that of the image without blobs, for one with %s', (_, options) => {
    const image = testRom(options);
    expect(sha256(image)).not.toBe(sha256(testRom()));
    expect(maskedDigest(image, SLOTS)).toBe(OPEN);
  });

  it.each([
    ['a command line', { ...FULL, commandLine: 'console=ttyS1' }],
    ['a file of the initramfs', { ...FULL, init: '#!/bin/bb\n' }],
    ['a stage', { ...FULL, stage: Buffer.alloc(999, 'CODE') }],
  ])('is another, for an image with another %s', (_, options) => {
    expect(maskedDigest(testRom(options), SLOTS)).not.toBe(OPEN);
  });

  it('is another if a slot is not known: then the blob counts as ours', () => {
    const { fsp: _fsp, ...others } = SLOTS;
    const digests = [16384, 24576].map((fspSize) => maskedDigest(testRom({ ...FULL, fspSize }), others));
    expect(digests[0]).not.toBe(digests[1]);
  });

  it('is another after any change of a byte that is no blob’s', () => {
    const image = testRom(FULL);
    const digest = maskedDigest(image, SLOTS);
    const blobs = readCbfs(image.subarray(CBFS_AT))
      .filter(({ name }) => ['fspm.bin', 'cpu_microcode_blob.bin'].includes(name))
      .map(({ offset, headerSize, content }) => [offset, offset + headerSize + content.length] as const)
      .map(([start, end]) => [CBFS_AT + start, CBFS_AT + end] as const);
    expect(blobs).toHaveLength(2);
    const isApart = (at: number): boolean => at < BIOS + 16384 || blobs.some(([start, end]) => at >= start && at < end);
    const changed = (at: number, change: number): boolean => {
      const other = Buffer.from(image);
      other[at] = (other[at] as number) ^ change;
      return maskedDigest(other, SLOTS) !== digest;
    };
    const ours = fc.integer({ min: BIOS, max: CHIP - 1 }).filter((at) => !isApart(at));
    fc.assert(
      fc.property(ours, fc.integer({ min: 1, max: 255 }), (at, change) => changed(at, change)),
      { numRuns: 300 },
    );
    // Where a random place seldom falls: headers, padding between files, the FIT and its pointer, the room's header.
    const files = readCbfs(image.subarray(CBFS_AT));
    const edges = files.flatMap(({ offset, headerSize, content }) => {
      const end = offset + headerSize + content.length;
      return [...range(CBFS_AT + offset, headerSize), ...range(CBFS_AT + end, 64)];
    });
    const fit = image.indexOf('_FIT_   ');
    for (const at of new Set([...edges, ...range(fit, 80), ...range(CHIP - 0x40, 8)])) {
      if (at >= CHIP || isApart(at)) continue;
      for (const change of [1, 0x80, 0xff])
        expect(changed(at, change), `byte ${at.toString(16)} ^ ${change}`).toBe(true);
    }
  });

  it('takes images of any kind', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => maskedDigest(bytes, SLOTS).length === 64));
    expect(maskedDocument(Buffer.alloc(64, 1), {})).toMatchObject({ areas: [{ name: '' }] });
  });
});

function range(start: number, length: number): readonly number[] {
  return Array.from({ length }, (_, index) => start + index);
}
