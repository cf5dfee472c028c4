import { describe, expect, it } from 'vitest';
import { readAr } from '../../src/formats/ar.ts';
import { arArchive } from '../images/debBuilder.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('readAr', () => {
  it('reads members of even and odd length', () => {
    const members = readAr(
      arArchive([
        ['debian-binary', '2.0\n'],
        ['odd', 'abc'],
        ['empty', ''],
        ['last', 'x'],
      ]),
    );
    expect(members.map(({ name, data }) => [name, text(data)])).toEqual([
      ['debian-binary', '2.0\n'],
      ['odd', 'abc'],
      ['empty', ''],
      ['last', 'x'],
    ]);
  });

  it('accepts a last member without its padding byte, and the slash that GNU ar appends', () => {
    const archive = arArchive([['name/', 'abc']]);
    expect(readAr(archive.subarray(0, archive.length - 1)).map(({ name }) => name)).toEqual(['name']);
  });

  it('reads an archive that is a view into a larger buffer', () => {
    const archive = arArchive([['a', 'one']]);
    const larger = Buffer.concat([Buffer.from('xxx'), archive]);
    expect(
      text(readAr(new Uint8Array(larger.buffer, larger.byteOffset + 3, archive.length))[0]?.data as Uint8Array),
    ).toBe('one');
  });

  const good = arArchive([
    ['a', 'abcd'],
    ['b', 'efgh'],
  ]);
  it.each([
    ['nothing', Buffer.alloc(0), /magic/],
    ['another format', Buffer.from('PK\x03\x04........'), /magic/],
    ['a cut header', good.subarray(0, 8 + 30), /inside a header/],
    ['cut content', good.subarray(0, good.length - 2), /ends after the archive/],
    ['a damaged header', Buffer.from(good.toString('latin1').replace('`\n', 'xx'), 'latin1'), /damaged header/],
    [
      'a negative size',
      Buffer.from(good.toString('latin1').replace(/4 {9}`/, '-4        `'), 'latin1'),
      /no valid size/,
    ],
    ['a long-name table', arArchive([['//', 'long names']]), /unsupported name/],
    ['a BSD long name', arArchive([['#1/20', 'long names']]), /unsupported name/],
    ['a name with a folder', arArchive([['../x', 'y']]), /unsupported name/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readAr(bytes)).toThrow(message);
  });
});
