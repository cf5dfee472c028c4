import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Part, walk } from '../../src/firmware/parts/part.ts';
import { readRom } from '../../src/firmware/parts/readRom.ts';
import { sha256 } from '../../src/model/digest.ts';
import { firmwareVolume, flashDescriptor, fspComponent, microcodeUpdate, section } from '../support/firmware.ts';
import { cbfs, cbfsAttribute, flashMap } from '../support/romBuilder.ts';
import { BIOS, CBFS_AT, CHIP, elf, testRom } from '../support/testRom.ts';

/** The part at a path of names, which must be there. */
function at(root: Part, ...names: readonly string[]): Part {
  let part = root;
  for (const name of names) {
    const next = part.parts.find((child) => child.name === name);
    if (next === undefined) throw new Error(`${part.name} has ${part.parts.map((one) => one.name).join(', ')}`);
    part = next;
  }
  return part;
}

function problems(root: Part): readonly string[] {
  return [...walk(root)].flatMap(({ part, path }) => part.problems.map((problem) => `${path.join('/')}: ${problem}`));
}

const FULL = { fspSize: 16384, microcodeSizes: [2048, 1024], me: 'ME', mrcCache: 'trained' };
const FILES = ['SI_BIOS', 'COREBOOT'] as const;
const PAYLOAD = [...FILES, 'fallback/payload'] as const;

describe('a flash image as a tree', () => {
  const rom = readRom(testRom(FULL), 'test.rom');
  it('nests regions and areas by what lies inside of what', () => {
    expect(rom.parts.map(({ name, kind }) => [name, kind])).toEqual([
      ['SI_ALL', 'area'],
      ['bios', 'region'],
    ]);
    expect(at(rom, 'SI_ALL').parts.map(({ name }) => name)).toEqual(['fd', 'me']);
    expect(at(rom, 'SI_ALL', 'fd', 'SI_DESC').size).toBe(4096);
    expect(at(rom, 'bios', 'SI_BIOS').parts.map(({ name }) => name)).toEqual(['RW_MRC_CACHE', 'FMAP', 'COREBOOT']);
  });

  it('finds nothing wrong with it, and the FIT', () => {
    expect(problems(rom)).toEqual([]);
    expect(rom.facts).toMatchObject({ flashMap: 'FLASH', fitEntries: 2 });
  });

  it('reads the files, and what is in them, down to the files of the initramfs', () => {
    const files = at(rom, 'bios', ...FILES);
    expect(files.parts.map(({ name, kind }) => [name, kind])).toEqual([
      ['cbfs_master_header', 'cbfs-file'],
      ['intel_fit', 'cbfs-file'],
      ['fallback/romstage', 'cbfs-file'],
      ['fallback/payload', 'cbfs-file'],
      ['build_info', 'cbfs-file'],
      ['fspm.bin', 'cbfs-file'],
      ['cpu_microcode_blob.bin', 'cbfs-file'],
      ['(empty)', 'free'],
      ['bootblock', 'cbfs-file'],
    ]);
    expect(at(files, 'fallback/romstage').facts).toMatchObject({ type: 'stage', entry: '0xfeff0031' });
    expect(at(files, 'fspm.bin').facts).toMatchObject({ component: 'FSP-M', image: '$TESTFSP' });
    expect(at(files, 'cpu_microcode_blob.bin', '06-9e-0a #2').facts).toMatchObject({ revision: '0xf8' });
    expect(at(files, 'intel_fit', 'microcode').facts['address']).toMatch(/^0xfff/);
    const payload = at(rom, 'bios', ...PAYLOAD);
    expect(payload.parts.map(({ name }) => name)).toEqual([
      '(rest)',
      'zero page',
      'kernel',
      'trampoline',
      'command line',
      'initramfs',
    ]);
    expect(at(payload, 'kernel').facts['version']).toBe('6.12.1 (test@test) #1');
    expect(at(payload, 'kernel', 'vmlinux', '.text').size).toBe(100);
    expect(at(payload, 'command line').facts['text']).toBe('console=ttyS0');
    const tool = at(payload, 'initramfs', 'bin/tool');
    expect([tool.digest, tool.facts]).toEqual([sha256('a tool'), { type: 'file', mode: '0755' }]);
  });

  it('leaves out no byte: parts lie one after another, with padding between them at most', () => {
    for (const { part } of walk(rom)) {
      let end = 0;
      const holder = part.unpacked ?? part.content;
      for (const inner of part.parts) {
        expect(inner.offset - end, `${part.name}: before ${inner.name}`).toBeGreaterThanOrEqual(0);
        expect(inner.offset - end, `${part.name}: before ${inner.name}`).toBeLessThan(64);
        end = inner.offset + inner.size;
      }
      if (part.parts.length > 0) expect(holder.length - end).toBeLessThan(64);
    }
  });

  it('unpacks nothing before it is asked for', () => {
    const image = testRom({ ...FULL });
    const fresh = readRom(image, 'test.rom');
    const packed = at(fresh, 'bios', ...PAYLOAD, 'initramfs');
    // Overwritten after the headers were read: whoever unpacks it now meets damage.
    image.fill(0xee, image.indexOf(packed.content) + 20, image.indexOf(packed.content) + 60);
    expect(packed.problems).toEqual([expect.stringMatching(/gzip/)]);
  });
});

describe('what is damaged is a problem in the tree', () => {
  it.each([
    ['a file that is cut short', CBFS_AT + 8, 'COREBOOT: .* bytes belong to no file'],
    ['an FSP without its volumes', undefined, 'fspm.bin: .* damaged|fspm.bin: there is no firmware volume'],
  ])('%s', (_, where, message) => {
    const image = testRom(FULL);
    image.writeUInt8(image.readUInt8(where ?? image.indexOf('_FVH')) ^ 1, where ?? image.indexOf('_FVH'));
    expect(problems(readRom(image, 'rom')).join('\n')).toMatch(new RegExp(message));
  });

  it('regions that overlap, and one that leaves the chip', () => {
    const image = testRom(FULL);
    flashDescriptor(CHIP, { 0: [0, 4096], 2: [4096, BIOS], 1: [BIOS, CHIP - BIOS] }).copy(image);
    expect(problems(readRom(image, 'rom'))).toEqual([
      expect.stringMatching(/^rom: the regions me .* and bios .* overlap/),
      expect.stringMatching(/^rom\/me: it overlaps SI_ALL/),
      expect.stringMatching(/^rom\/bios: it overlaps me/),
    ]);
    flashDescriptor(CHIP, { 0: [0, 4096], 1: [BIOS, CHIP] }).copy(image);
    expect(problems(readRom(image, 'rom')).join('\n')).toMatch(/bios .* leaves the image/);
  });

  it('an image that is cut off', () => {
    const short = readRom(testRom(FULL).subarray(0, CHIP - 8192), 'rom');
    expect(short.problems.join('\n')).toMatch(/the flash map is that of a flash of 524288 bytes, and this has 516096/);
    expect(at(short, 'SI_ALL').size).toBe(BIOS);
  });

  it('a file with a wrong hash, and one that unpacks to something else', () => {
    const content = Buffer.from('content');
    const hash = cbfsAttribute(0x68736148, Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.alloc(32)]));
    const packed = cbfsAttribute(0x42435a4c, Buffer.from('0000000200001234', 'hex'));
    const area = cbfs(0x1000, [
      { name: 'hashed', type: 0x50, content, attributes: [hash] },
      { name: 'packed', type: 0x50, content: Buffer.from('04224d186040820000000000', 'hex'), attributes: [packed] },
      {
        name: 'odd',
        type: 0x50,
        content,
        attributes: [cbfsAttribute(0x42435a4c, Buffer.from('0000000900001234', 'hex'))],
      },
    ]);
    expect(problems(readRom(area, 'area'))).toEqual([
      'area/hashed: it is damaged: its sha256 is another than its header says',
      'area/packed: it unpacks to 0 bytes, and its header says 4660',
      'area/odd: it is compressed in a way that is not known: 0x9',
    ]);
  });

  it('anything at all is read without an exception', () => {
    const sound = testRom(FULL);
    const bytes = fc.array(fc.tuple(fc.nat(CHIP - 1), fc.uint8Array({ minLength: 1, maxLength: 8 })), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(bytes, fc.nat(CHIP), (changes, cut) => {
        const image = Buffer.from(sound);
        for (const [where, change] of changes) image.set(change.subarray(0, CHIP - where), where);
        for (const one of [image, image.subarray(0, cut)]) problems(readRom(one, 'rom'));
      }),
      { numRuns: 60 },
    );
  });

  it('things that lie in one another without an end', () => {
    let volume: Buffer = firmwareVolume(4096, []);
    for (let depth = 0; depth < 60; depth++) {
      const content = section(0x17, volume);
      const name = '9e21fd93-9c72-4c15-8c4b-e77f1db2d792';
      volume = firmwareVolume(volume.length + 4096, [{ name, type: 0x0b, content }]);
    }
    expect(problems(readRom(volume, 'rom'))).toEqual([expect.stringMatching(/things lie in one another here/)]);
  });
});

describe('other firmware than whole flash images', () => {
  it('an FSP of several components, and microcode', () => {
    const fsp = Buffer.concat([fspComponent('M', 16384, Buffer.alloc(9)), fspComponent('S', 12288, Buffer.alloc(9))]);
    expect(readRom(fsp, 'Fsp.fd').parts.map(({ name, size }) => [name, size])).toEqual([
      ['FSP-M', 16384],
      ['FSP-S', 12288],
    ]);
    const updates = microcodeUpdate(2048, [[0x906ea, 0x22]]);
    expect(readRom(updates, 'ucode').parts.map(({ name }) => name)).toEqual(['06-9e-0a']);
  });

  it('volumes behind the header of an ELF file are volumes', () => {
    const image = Buffer.concat([elf(), Buffer.alloc(4096 - elf().length, 0xff), firmwareVolume(8192, [])]);
    expect(readRom(image, 'CLOUDHV.fd').parts.map(({ kind }) => kind)).toEqual(['rest', 'volume']);
  });

  it('a flash map is enough of a flash image, and nothing at all is a part without parts', () => {
    const map = flashMap(0x1000, [['ONLY', 0x800, 0x800]]);
    const image = Buffer.concat([map, Buffer.alloc(0x1000 - map.length, 0xff)]);
    expect(readRom(image, 'rom').parts.map(({ name }) => name)).toEqual(['(rest)', 'ONLY']);
    expect(readRom(Buffer.alloc(0), 'rom').parts).toEqual([]);
    expect(readRom(Buffer.from('hello'), 'rom').parts).toEqual([]);
  });
});
