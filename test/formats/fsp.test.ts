import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { readFspComponent, splitFsp } from '../../src/formats/fsp.ts';
import { fspComponent } from '../support/firmware.ts';

/** What Intel's file for Coffee Lake consists of. */
const SIZES = { S: 217_088, M: 557_056, T: 16_384 } as const;

function fsp(): Buffer {
  return Buffer.concat([
    fspComponent('S', SIZES.S, Buffer.alloc(200_000, 1)),
    fspComponent('M', SIZES.M, Buffer.alloc(500_000, 2)),
    fspComponent('T', SIZES.T, Buffer.alloc(10_000, 3)),
  ]);
}

function sizes(file: Uint8Array): Record<string, number> {
  return Object.fromEntries(splitFsp(file).map(({ kind, size }) => [kind, size]));
}

describe('FSP', () => {
  test('is taken apart into its components', () => {
    const file = fsp();
    const components = splitFsp(file);
    expect(sizes(file)).toEqual(SIZES);
    expect(components.map(({ offset }) => offset)).toEqual([0, SIZES.S, SIZES.S + SIZES.M]);
    expect(components[0]).toMatchObject({
      imageId: '$TESTFSP',
      imageRevision: '7.0.64.16',
      imageBase: 0xfff00000,
      specification: '2.0',
    });
    expect(Buffer.concat(components.map(({ content }) => content))).toEqual(file);
  });

  const real = process.env['VMBUILD_BLOBS'];
  const path = real === undefined ? undefined : join(real, 'Fsp.fd');
  const missing = path === undefined ? 'VMBUILD_BLOBS is not set' : `there is no ${path}`;
  test.skipIf(path === undefined || !existsSync(path))(
    `Intel's own Fsp.fd has the published sizes${path !== undefined && existsSync(path) ? '' : ` (skipped: ${missing})`}`,
    () => {
      expect(sizes(readFileSync(path as string))).toEqual(SIZES);
    },
  );

  test('a component that was moved is still read, though its checksums are wrong; the file is not', () => {
    const file = fsp();
    file.writeUInt8(0x55, 5000); // in the code, which has a checksum
    expect(() => splitFsp(file)).toThrow('FSP-S is damaged: the checksum of its file b0a2fb6a-');
    expect(readFspComponent(file, 0).kind).toBe('S');
  });

  test('what is cut off, doubled, followed by something or something else is refused', () => {
    const file = fsp();
    expect(() => splitFsp(file.subarray(0, 300_000))).toThrow('the FSP component at 0x35000 is cut off');
    expect(() => splitFsp(Buffer.concat([file, Buffer.alloc(4096)]))).toThrow('no firmware volume at 0xc1000');
    expect(() => splitFsp(Buffer.concat([file, file]))).toThrow('two components FSP-S; the second is at 0xc1000');
    const old = fsp();
    old.writeUInt8(0x11, 120 + 28 + 10);
    expect(() => splitFsp(old)).toThrow('specification before 2.0');
    const none = fsp();
    none.write('XXXX', 120 + 28, 'latin1');
    expect(() => splitFsp(none)).toThrow('its signature is missing');
  });

  test('whatever its bytes are, it is read or refused', () => {
    const change = fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const file = fspComponent('T', 8192, Buffer.alloc(100, 3));
        for (const [at, value] of changes) file.writeUInt8(value, at);
        try {
          splitFsp(file);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
