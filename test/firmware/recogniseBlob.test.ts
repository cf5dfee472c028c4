import { describe, expect, it } from 'vitest';
import { recogniseBlob } from '../../src/firmware/recogniseBlob.ts';
import type { BlobSlots } from '../../src/model/blobSlot.ts';
import { sha256 } from '../../src/model/digest.ts';
import { VmbuildError } from '../../src/model/errors.ts';
import type { Platform } from '../../src/model/recipe.ts';
import { flashDescriptor, fspComponent, microcodeUpdate, type Regions } from '../support/firmware.ts';

const KIB = 1024;
const CHIP = 1024 * KIB;
const BIOS = 512 * KIB;
const REGIONS: Regions = { 0: [0, 4096], 3: [4096, 8192], 2: [12288, BIOS - 12288], 1: [BIOS, CHIP - BIOS] };

const FSP = Buffer.concat([
  fspComponent('S', 12 * KIB, Buffer.alloc(3000, 1)),
  fspComponent('M', 16 * KIB, Buffer.alloc(9000, 2)),
  fspComponent('T', 8 * KIB, Buffer.alloc(100, 3)),
]);

function board(changes: Partial<Platform> = {}, fsp: Partial<BlobSlots[string]> = {}): Platform {
  const slot = { what: 'it', licence: 'stays-local', from: ['somewhere'] } as const;
  return {
    name: 'board',
    description: 'a board',
    flash: { size: CHIP, taken: { vendor: BIOS }, budget: BIOS },
    kernelCommandLine: '',
    file: (path) => path,
    blobs: {
      fsp: { ...slot, fills: { cbfs: ['fspm.bin', 'fsps.bin'], holds: 'fsp' }, ...fsp },
      microcode: { ...slot, fills: { cbfs: ['ucode.bin'], holds: 'microcode', processors: ['06-9e-0a'] } },
      descriptor: { ...slot, fills: { region: 'fd' } },
      me: { ...slot, fills: { region: 'me' } },
      gbe: { ...slot, fills: { region: 'gbe' }, optional: true },
    },
    ...changes,
  };
}

function dump(regions: Regions = REGIONS, size = CHIP): Buffer {
  const bytes = Buffer.alloc(size, 0xff);
  flashDescriptor(CHIP, regions).copy(bytes);
  bytes.fill('GBE', 4096, 12288);
  bytes.fill('ME', 12288, BIOS);
  bytes.fill('VENDOR', BIOS);
  return bytes;
}

function add(bytes: Uint8Array, platform = board(), slot?: string): ReturnType<typeof recogniseBlob> {
  return recogniseBlob(platform, { name: 'file', bytes }, slot);
}

/** What a file is refused with. */
function refusal(bytes: Uint8Array, platform?: Platform, slot?: string): string {
  try {
    add(bytes, platform, slot);
  } catch (error) {
    expect(error).toBeInstanceOf(VmbuildError);
    expect((error as VmbuildError).code).toBe('BLOB_REFUSED');
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

describe('a dump of the chip', () => {
  it('is taken apart by region; the vendor’s firmware is not taken', () => {
    const { slots, notes } = add(dump());
    expect(Object.keys(slots)).toEqual(['descriptor', 'me', 'gbe']);
    expect(slots['descriptor']).toMatchObject([{ name: 'fd.bin', offset: 0, content: { length: 4096 } }]);
    expect(slots['me']).toMatchObject([{ name: 'me.bin', offset: 12288, content: { length: BIOS - 12288 } }]);
    expect(slots['gbe']).toMatchObject([{ name: 'gbe.bin', offset: 4096, content: { length: 8192 } }]);
    expect(notes).toEqual([]);
  });

  it('may lack what is optional, which is said', () => {
    const { 3: _gbe, ...without } = REGIONS;
    expect(add(dump(without)).notes).toEqual(['the dump has no region gbe; it is left out']);
    expect(Object.keys(add(dump(without)).slots)).toEqual(['descriptor', 'me']);
    const empty = dump().fill(0xff, 4096, 12288);
    expect(add(empty).notes).toEqual(['the dump has nothing in its region gbe; it is left out']);
  });

  it.each<[string, Buffer, string]>([
    ['cut off', dump().subarray(0, CHIP - 1), 'it has 1048575 bytes, and the flash chip has 1048576: it is cut off'],
    ['of a larger chip', dump(REGIONS, 2 * CHIP), 'it is a dump of another board'],
    [
      'of a board with another layout',
      dump({ 0: [0, 4096], 2: [4096, 256 * KIB], 1: [768 * KIB, 256 * KIB] }),
      'its region bios should be from 0x80000 to 0x100000, and it is from 0xc0000 to 0x100000: a dump of another board than board',
    ],
    ['without a region bios', dump({ 0: [0, 4096], 2: [4096, 8192] }), 'and there is none'],
    ['with regions that overlap', dump({ ...REGIONS, 3: [8192, 8192] }), 'overlap'],
    ['with a region outside of the chip', dump({ ...REGIONS, 4: [CHIP - 4096, 8192] }), 'region pd ends at 0x101000'],
    ['without a management engine', dump({ 0: [0, 4096], 1: [BIOS, BIOS] }), 'its descriptor has no region me'],
    [
      'that did not read the management engine',
      dump().fill(0xff, 12288, BIOS),
      'the region me is empty (all ones): the machine does not let itself be read there',
    ],
    [
      'with something that no slot takes',
      dump({ ...REGIONS, 2: [12288, 4096], 4: [16384, 4096] }),
      'there is something in its region pd, which no slot takes',
    ],
    [
      'whose descriptor was not read',
      dump().fill(0xff, 0, 4096),
      'as large as the flash chip, but without a flash descriptor',
    ],
    ['of nothing', Buffer.alloc(CHIP, 0xff), 'every byte of it is the same'],
  ])('is refused: %s', (_what, bytes, message) => {
    expect(refusal(bytes)).toContain(message);
  });
});

describe('an FSP', () => {
  it('is split into what the slot wants of it', () => {
    expect(add(FSP).slots).toMatchObject({
      fsp: [
        { name: 'fspm.bin', offset: 12 * KIB, content: { length: 16 * KIB } },
        { name: 'fsps.bin', offset: 0, content: { length: 12 * KIB } },
      ],
    });
  });

  it('must be the one that the slot names', () => {
    const known = board({}, { sha256: sha256(FSP), size: FSP.length });
    expect(Object.keys(add(FSP, known).slots)).toEqual(['fsp']);
    const other = Buffer.from(FSP);
    other.writeUInt8(7, 5000);
    expect(refusal(other, known)).toContain(`its sha256 is ${sha256(other)}, and that of fsp is ${sha256(FSP)}`);
    expect(refusal(FSP.subarray(0, 20 * KIB), known)).toContain(`(20480 bytes, not ${FSP.length})`);
  });

  it('is refused with broken checksums, cut off, or without a component', () => {
    const broken = Buffer.from(FSP);
    broken.writeUInt8(7, 5000);
    expect(refusal(broken)).toContain('FSP-S is damaged: the checksum of its file');
    expect(refusal(FSP.subarray(0, FSP.length - 4096))).toContain('is cut off');
    expect(refusal(FSP.subarray(0, 12 * KIB))).toContain('it has no component for fspm.bin');
  });
});

describe('microcode', () => {
  const mine = microcodeUpdate(2048, [[0x906ea, 2]]);
  const other = microcodeUpdate(1024, [[0x806e9, 2]]);

  it('is taken for the processors of the board only', () => {
    expect(add(Buffer.concat([other, mine, other])).slots['microcode']).toEqual([
      { name: 'ucode.bin', offset: 1024, content: mine },
    ]);
    expect(refusal(other)).toContain('none of its updates is for one of 06-9e-0a');
  });

  it('is refused if it is damaged', () => {
    const damaged = Buffer.from(mine);
    damaged.writeUInt8(1, 1000);
    expect(refusal(damaged)).toContain('the microcode update at 0x0 is damaged');
  });
});

describe('a file', () => {
  it('that is none of the blobs is refused, and the slots are told', () => {
    expect(refusal(Buffer.from('#!/bin/sh\n'))).toBe('file is none of the vendor blobs of board (10 bytes)');
    expect(refusal(Buffer.alloc(0))).toContain('it is empty');
  });

  it('for one slot is looked at for that only', () => {
    expect(Object.keys(add(dump(), board(), 'me').slots)).toEqual(['me']);
    expect(refusal(FSP, board(), 'microcode')).toContain('is none of the vendor blobs');
    expect(refusal(FSP, board(), 'me')).toContain('the flash chip has 1048576');
    expect(refusal(FSP, board(), 'dvd')).toBe('board has no slot "dvd"');
  });

  it('for a slot without a known format is taken as it is, if the user says so', () => {
    const platform = board({
      blobs: { vbt: { what: 'it', licence: 'may-be-cached', from: ['x'], fills: { cbfs: ['vbt.bin'] } } },
    });
    expect(add(Buffer.from('data'), platform, 'vbt').slots['vbt']).toMatchObject([{ name: 'vbt.bin', offset: 0 }]);
    expect(refusal(Buffer.from('data'), platform)).toContain('is none of the vendor blobs');
  });

  it('for a board without slots is refused', () => {
    expect(refusal(FSP, board({ blobs: {} }))).toBe('board takes no vendor blobs');
  });
});
