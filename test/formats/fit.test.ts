import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { FIT_MICROCODE, readFit } from '../../src/formats/fit.ts';

const SIZE = 64 * 1024;
const BASE = 2 ** 32 - SIZE;
const TABLE = 0x8000;

/** The end of a flash with a table of entries, as [type, address, bytes / 16]. */
function image(entries: readonly (readonly [type: number, address: number, size: number])[]): Buffer {
  const bytes = Buffer.alloc(SIZE, 0xff);
  bytes.writeBigUInt64LE(BigInt(BASE + TABLE), SIZE - 0x40);
  const table = bytes.subarray(TABLE, TABLE + 16 * (entries.length + 1)).fill(0);
  table.write('_FIT_   ', 0, 'latin1');
  table.writeUIntLE(entries.length + 1, 8, 3);
  table.writeUInt16LE(0x100, 12);
  table.writeUInt8(0x80, 14);
  entries.forEach(([type, address, size], index) => {
    const entry = table.subarray(16 * (index + 1));
    entry.writeBigUInt64LE(BigInt(address), 0);
    entry.writeUIntLE(size, 8, 3);
    entry.writeUInt16LE(0x100, 12);
    entry.writeUInt8(type, 14);
  });
  table.writeUInt8(-table.reduce((sum, byte) => sum + byte, 0) & 0xff, 15);
  return bytes;
}

describe('FIT', () => {
  test('its entries are read, with their places in the image', () => {
    const bytes = image([
      [FIT_MICROCODE, BASE + 0x100, 0],
      [0x07, BASE + 0xf000, 0x100],
      [0x33, 0x1000, 0],
    ]);
    expect(readFit(bytes)).toEqual({
      offset: TABLE,
      entries: [
        { type: 1, name: 'microcode', address: BigInt(BASE + 0x100), offset: 0x100, size: 0, version: 0x100 },
        {
          type: 7,
          name: 'BIOS startup module',
          address: BigInt(BASE + 0xf000),
          offset: 0xf000,
          size: 4096,
          version: 256,
        },
        { type: 0x33, name: 'type 0x33', address: 0x1000n, offset: undefined, size: 0, version: 0x100 },
      ],
    });
  });

  test('an image without a table has none', () => {
    expect(readFit(Buffer.alloc(SIZE, 0xff))).toBeUndefined();
    expect(readFit(Buffer.alloc(SIZE))).toBeUndefined();
  });

  test('a pointer to elsewhere, a wrong checksum and impossible sizes are refused', () => {
    const elsewhere = image([]);
    elsewhere.writeBigUInt64LE(BigInt(BASE - 16), SIZE - 0x40);
    expect(() => readFit(elsewhere)).toThrow('leaves the image');
    elsewhere.writeBigUInt64LE(BigInt(BASE + 16), SIZE - 0x40);
    expect(() => readFit(elsewhere)).toThrow('there is no FIT at 0x10');
    const damaged = image([[FIT_MICROCODE, BASE, 0]]);
    damaged.writeUInt8(7, TABLE + 17);
    expect(() => readFit(damaged)).toThrow('the FIT at 0x8000 is damaged: its checksum is wrong');
    const large = image([]);
    large.writeUIntLE(0xffff, TABLE + 8, 3);
    expect(() => readFit(large)).toThrow('impossible size: 65535 entries');
    expect(() => readFit(Buffer.alloc(10))).toThrow(FormatError);
  });

  test('whatever its bytes are, it is read or refused', () => {
    const place = fc.oneof(fc.integer({ min: TABLE, max: TABLE + 63 }), fc.integer({ min: SIZE - 64, max: SIZE - 57 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(place, fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = image([[FIT_MICROCODE, BASE, 0]]);
        for (const [at, value] of changes) bytes.writeUInt8(value, at);
        bytes.writeUInt8(0, TABLE + 14); // without a checksum, so that the entries are read
        try {
          readFit(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
