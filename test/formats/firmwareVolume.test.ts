import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/formats/binary.ts';
import { LZMA_SECTION, readSections, SECTION } from '../../src/formats/ffsSection.ts';
import { findFirmwareVolumes, readFirmwareVolume } from '../../src/formats/firmwareVolume.ts';
import { firmwareVolume, guid, section } from '../support/firmware.ts';

const PEIM = '11111111-2222-3333-4444-555555555555';
const DRIVER = '5c198761-16a8-4e69-972c-89d67954f81d';
const VOLUME = '48db5e17-707c-472d-91cd-1613e7ef51b0';
const code = section(SECTION.te, Buffer.from('a program'));

function sample(): Buffer {
  return firmwareVolume(
    8192,
    [
      { name: PEIM, type: 6, content: code, summed: true },
      { name: DRIVER, type: 7, content: Buffer.alloc(1000, 7) },
    ],
    VOLUME,
  );
}

describe('firmware volume', () => {
  test('its files are read; padding is none', () => {
    const volume = readFirmwareVolume(Buffer.concat([Buffer.alloc(16), sample()]), 16);
    expect(volume).toMatchObject({
      offset: 16,
      size: 8192,
      fileSystem: '8c8ce578-8a3d-4f1c-9935-896185c32dd3',
      name: VOLUME,
      files: [
        { name: PEIM, type: 6, typeName: 'PEIM', offset: 16 + 120, size: 24 + code.length, intact: true },
        { name: DRIVER, typeName: 'driver', size: 1024, intact: true },
      ],
    });
    expect(volume.files?.[0]?.content).toEqual(code);
    expect(volume.free).toBe(8192 - 120 - 40 - 1024);
  });

  test('one without files, or with another file system', () => {
    expect(readFirmwareVolume(firmwareVolume(4096, []), 0)).toMatchObject({
      name: undefined,
      files: [],
      free: 4096 - 72,
    });
    const variables = firmwareVolume(4096, []);
    guid('fff12b8d-7696-4c8b-a985-2747075b4f50').copy(variables, 16);
    variables.writeUInt16LE(0, 50);
    let sum = 0;
    for (let at = 0; at < 72; at += 2) sum += variables.readUInt16LE(at);
    variables.writeUInt16LE(-sum & 0xffff, 50);
    expect(readFirmwareVolume(variables, 0).files).toBeUndefined();
  });

  test('a deleted file is none', () => {
    const volume = sample();
    volume.writeUInt8(0xe8, 120 + 23);
    expect(readFirmwareVolume(volume, 0).files).toHaveLength(1);
  });

  test('checksums: of the header and of a file header it is refused, of a content it is told', () => {
    const header = sample();
    header.writeUInt8(1, 44);
    expect(() => readFirmwareVolume(header, 0)).toThrow(
      'volume at 0x0 is damaged: the checksum of its header is wrong',
    );
    const file = sample();
    file.writeUInt8(9, 120 + 18);
    expect(() => readFirmwareVolume(file, 0)).toThrow('file at 0x78 is damaged: the checksum of its header is wrong');
    const content = sample();
    content.writeUInt8(9, 120 + 30);
    expect(readFirmwareVolume(content, 0).files?.map(({ intact }) => intact)).toEqual([false, true]);
  });

  test('what is cut off or missing is refused', () => {
    expect(() => readFirmwareVolume(sample().subarray(0, 8000), 0)).toThrow(
      'cut off: it has 8192 bytes, and there are',
    );
    expect(() => readFirmwareVolume(Buffer.alloc(4096), 0)).toThrow('there is no firmware volume at 0x0');
  });

  test('volumes are found among other things, and four letters alone are none', () => {
    const bytes = Buffer.concat([Buffer.alloc(100, 1), sample(), Buffer.from('_FVH_FVH'), sample(), Buffer.alloc(8)]);
    expect(findFirmwareVolumes(bytes)).toEqual([
      { offset: 100, size: 8192 },
      { offset: 100 + 8192 + 8, size: 8192 },
    ]);
    expect(findFirmwareVolumes(Buffer.from('_FVH'))).toEqual([]);
  });

  test('whatever its bytes are, it is read or refused', () => {
    const change = fc.tuple(fc.integer({ min: 40, max: 200 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean(), (changes, sumAgain) => {
        const bytes = sample();
        for (const [at, value] of changes) bytes.writeUInt8(value, at);
        if (sumAgain) {
          bytes.writeUInt16LE(0, 50);
          let sum = 0;
          for (let at = 0; at < Math.min(bytes.readUInt16LE(48), 8190); at += 2) sum += bytes.readUInt16LE(at);
          bytes.writeUInt16LE(-sum & 0xffff, 50);
        }
        try {
          findFirmwareVolumes(bytes);
          readFirmwareVolume(bytes, 0);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});

describe('sections', () => {
  test('each kind has its own', () => {
    const lzma = Buffer.concat([guid(LZMA_SECTION), Buffer.from([24, 0, 1, 0]), Buffer.from('packed')]);
    const name = Buffer.from('Shell\0', 'utf16le');
    const sections = readSections(
      Buffer.concat([
        section(SECTION.guidDefined, lzma),
        section(SECTION.userInterface, name),
        section(SECTION.version, Buffer.concat([Buffer.from([1, 0]), Buffer.from('1.0\0', 'utf16le')])),
        section(SECTION.compression, Buffer.from([9, 0, 0, 0, 1, 1, 2, 3])),
        section(SECTION.freeform, Buffer.concat([guid(DRIVER), Buffer.from('x')])),
        section(0x77, Buffer.from('?')),
      ]),
    );
    expect(
      sections.map(({ typeName, content, guid: is, text, compression }) => [
        typeName,
        content.length,
        is,
        text,
        compression,
      ]),
    ).toEqual([
      ['GUID-defined', 6, LZMA_SECTION, undefined, undefined],
      ['name', name.length, undefined, 'Shell', undefined],
      ['version', 10, undefined, '1.0', undefined],
      ['compressed', 3, undefined, undefined, 1],
      ['freeform', 1, DRIVER, undefined, undefined],
      ['type 0x77', 1, undefined, undefined, undefined],
    ]);
    expect(sections[0]?.content).toEqual(Buffer.from('packed'));
  });

  test('a section larger than 16 MiB says so in its second size', () => {
    const header = Buffer.from([0xff, 0xff, 0xff, SECTION.raw, 12, 0, 0, 0]);
    expect(readSections(Buffer.concat([header, Buffer.from('data')]))).toMatchObject([
      { size: 12, content: Buffer.from('data') },
    ]);
  });

  test('impossible sizes are refused', () => {
    expect(() => readSections(Buffer.from([3, 0, 0, SECTION.raw]))).toThrow('impossible size: 3 bytes');
    expect(() => readSections(Buffer.from([9, 0, 0, SECTION.raw, 1]))).toThrow('the section at 0x0 is cut off');
    expect(() => readSections(Buffer.from([8, 0, 0, SECTION.guidDefined, 1, 2, 3, 4]))).toThrow(FormatError);
  });

  test('whatever its bytes are, it is read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...Object.values(SECTION)), (bytes, type) => {
        if (bytes.length > 3) bytes.set([bytes.length - ((bytes[0] ?? 0) & 3), 0, 0, type]);
        try {
          readSections(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
