import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { readMicrocode } from '../../src/formats/microcode.ts';
import { microcodeUpdate } from '../support/firmware.ts';

const COFFEE_LAKE = [0x906ea, 0x22] as const;

describe('microcode', () => {
  test('a container is read: revision, date, processors', () => {
    const file = Buffer.concat([
      microcodeUpdate(2048, [COFFEE_LAKE]),
      microcodeUpdate(3072, [
        [0x906ed, 0x22],
        [0x906ec, 0x22],
        [0x10_0f10, 1],
      ]),
    ]);
    expect(readMicrocode(file)).toEqual([
      {
        offset: 0,
        size: 2048,
        revision: 0xf8,
        date: '2024-02-15',
        processors: [{ signature: 0x906ea, name: '06-9e-0a', platforms: 0x22 }],
      },
      {
        offset: 2048,
        size: 3072,
        revision: 0xf8,
        date: '2024-02-15',
        processors: [
          { signature: 0x906ed, name: '06-9e-0d', platforms: 0x22 },
          { signature: 0x906ec, name: '06-9e-0c', platforms: 0x22 },
          { signature: 0x10_0f10, name: '10-01-00', platforms: 1 },
        ],
      },
    ]);
  });

  test('sizes of 0 stand for 2048 bytes, 2000 of them data', () => {
    const update = microcodeUpdate(2048, [COFFEE_LAKE]);
    const sizes = update.readUInt32LE(28) + update.readUInt32LE(32);
    update.writeUInt32LE(0, 28);
    update.writeUInt32LE(0, 32);
    update.writeUInt32LE((update.readUInt32LE(16) + sizes) >>> 0, 16);
    expect(readMicrocode(update)).toMatchObject([{ size: 2048 }]);
  });

  test('what is damaged, cut off or something else is refused', () => {
    const update = microcodeUpdate(2048, [COFFEE_LAKE]);
    const damaged = Buffer.from(update);
    damaged.writeUInt8(0, 1000);
    expect(() => readMicrocode(damaged)).toThrow('the microcode update at 0x0 is damaged: its checksum is wrong');
    expect(() => readMicrocode(update.subarray(0, 2000))).toThrow('the microcode update at 0x0 is cut off');
    expect(() => readMicrocode(Buffer.concat([update, Buffer.alloc(1024)]))).toThrow('no microcode update at 0x800');
    expect(() => readMicrocode(Buffer.alloc(0))).toThrow('empty file');
    const table = microcodeUpdate(2048, [COFFEE_LAKE, [0x906ed, 2]]);
    table.writeUInt32LE(table.readUInt32LE(48) + 1, 48);
    table.writeUInt32LE(table.readUInt32LE(2040) - 1, 2040); // the sum of everything is right, that of the table is not
    expect(() => readMicrocode(table)).toThrow('the processor table of the microcode update at 0x0 is damaged');
  });

  test('whatever its bytes are, it is read or refused', () => {
    const change = fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.boolean(), (changes, sumAgain) => {
        const file = microcodeUpdate(1024, [COFFEE_LAKE, [0x906ed, 2]]);
        for (const [at, value] of changes) file.writeUInt8(value, at);
        if (sumAgain) {
          let sum = 0;
          for (let at = 0; at < file.length; at += 4) sum = (sum + file.readUInt32LE(at)) >>> 0;
          file.writeUInt32LE((file.readUInt32LE(16) - sum) >>> 0, 16);
        }
        try {
          readMicrocode(file);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
