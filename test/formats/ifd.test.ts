import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { checkRegions, DESCRIPTOR_SIZE, hasFlashDescriptor, readFlashDescriptor } from '../../src/formats/ifd.ts';
import { flashDescriptor, type Regions } from '../support/firmware.ts';

const MIB = 1024 * 1024;
const CHIP = 32 * MIB;
const SOUND: Regions = {
  0: [0, 0x1000],
  3: [0x1000, 0x2000],
  2: [0x3000, 0x15fd000],
  1: [0x160_0000, 10 * MIB],
};

describe('flash descriptor', () => {
  test('is read: chip, regions by their names, offsets and sizes', () => {
    const descriptor = readFlashDescriptor(flashDescriptor(CHIP, SOUND));
    expect(descriptor).toEqual({
      components: 1,
      chipSize: CHIP,
      regions: [
        { number: 0, name: 'fd', offset: 0, size: 0x1000 },
        { number: 1, name: 'bios', offset: 0x160_0000, size: 10 * MIB },
        { number: 2, name: 'me', offset: 0x3000, size: 0x15fd000 },
        { number: 3, name: 'gbe', offset: 0x1000, size: 0x2000 },
      ],
    });
    expect(() => checkRegions(descriptor, CHIP)).not.toThrow();
  });

  test('two chips count together; eight regions leave the size of the chips open', () => {
    const two = flashDescriptor(16 * MIB, SOUND);
    two.writeUInt32LE(0x0004_0103, 0x14);
    two.writeUInt8(0x55, 0x30);
    expect(readFlashDescriptor(two)).toMatchObject({ components: 2, chipSize: CHIP });
    const old = flashDescriptor(16 * MIB, SOUND);
    old.writeUInt32LE(0x0010_0006, 0x18); // masters at 0x60, where the ninth region would be
    expect(readFlashDescriptor(old).chipSize).toBeUndefined();
  });

  test.each<[string, Regions, string]>([
    [
      'overlap',
      { ...SOUND, 3: [0x2000, 0x2000] },
      'regions gbe (0x2000 to 0x4000) and me (0x3000 to 0x1600000) overlap',
    ],
    ['one inside another', { ...SOUND, 4: [0x170_0000, 0x1000] }, 'overlap'],
    [
      'beyond the chip',
      { ...SOUND, 1: [0x160_0000, 11 * MIB] },
      'region bios ends at 0x2100000, and the flash at 0x2000000',
    ],
    ['the descriptor elsewhere', { ...SOUND, 0: [0x1000, 0x1000], 3: [0x2000, 0x1000] }, 'does not say that it lies'],
    ['no descriptor region', { 1: [0, CHIP] }, 'does not say that it lies'],
  ])('regions are refused: %s', (_, regions, message) => {
    expect(() => checkRegions(readFlashDescriptor(flashDescriptor(CHIP, regions)), CHIP)).toThrow(message);
  });

  test('a descriptor of another chip is refused', () => {
    const descriptor = readFlashDescriptor(flashDescriptor(16 * MIB, { 0: [0, 0x1000] }));
    expect(() => checkRegions(descriptor, CHIP)).toThrow('of a flash of 16777216 bytes, and this has 33554432');
  });

  test('nothing is found in erased flash, or in what is too short', () => {
    expect(hasFlashDescriptor(Buffer.alloc(CHIP, 0xff))).toBe(false);
    expect(hasFlashDescriptor(flashDescriptor(CHIP, SOUND).subarray(0, DESCRIPTOR_SIZE - 1))).toBe(false);
    expect(() => readFlashDescriptor(Buffer.alloc(CHIP, 0xff))).toThrow('there is no flash descriptor');
    expect(() => readFlashDescriptor(Buffer.alloc(100))).toThrow('the flash descriptor is cut off');
  });

  test('whatever its bytes are, it is read or refused', () => {
    const change = fc.tuple(fc.nat({ max: 0x13f }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = flashDescriptor(CHIP, SOUND);
        for (const [at, value] of changes) bytes.writeUInt8(value, at);
        try {
          checkRegions(readFlashDescriptor(bytes), CHIP);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
