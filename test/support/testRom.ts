import { gzipSync } from 'node:zlib';
import { alignUp } from '../../src/formats/binary.ts';
import type { BlobSlots } from '../../src/model/blobSlot.ts';
import { flashDescriptor, fspComponent, microcodeUpdate } from './firmware.ts';
import { cbfsAttribute, type CbfsFileSpec, cpioArchive, flashMap, placeFile } from './romBuilder.ts';

const KIB = 1024;
/** Bytes of the chip. The vendor has the beginning. */
export const CHIP = 512 * KIB;
export const BIOS = 384 * KIB;
const MRC_CACHE = 16 * KIB;
const FMAP_AREA = 1 * KIB;
export const CBFS_AT = BIOS + MRC_CACHE + FMAP_AREA;
const FIT_ENTRIES = 4;
const FOUR_GIB = 2 ** 32;

const slot = { what: 'it', licence: 'stays-local', from: ['somewhere'] } as const;

/** Slots that the images of `testRom` have. */
export const SLOTS: BlobSlots = {
  fsp: { ...slot, fills: { cbfs: ['fspm.bin'], holds: 'fsp' } },
  microcode: { ...slot, fills: { cbfs: ['cpu_microcode_blob.bin'], holds: 'microcode', processors: ['06-9e-0a'] } },
  descriptor: { ...slot, fills: { region: 'fd' } },
  me: { ...slot, fills: { region: 'me' } },
};

/** What may be different from image to image. */
export interface TestRom {
  /** Vendor blobs in the flash's file system: bytes of the FSP, and of each microcode update. */
  readonly fspSize?: number;
  readonly microcodeSizes?: readonly number[];
  /** What the management engine's region holds; without it there is no descriptor either. */
  readonly me?: string;
  readonly mrcCache?: string;
  /** Content of the file /init in the initramfs. */
  readonly init?: string;
  readonly commandLine?: string;
  readonly stage?: Uint8Array;
}

/** A flash image with everything that a coreboot image of an Intel board has, on a chip of 512 KiB. */
export function testRom(options: TestRom = {}): Buffer {
  const image = Buffer.alloc(CHIP, 0xff);
  if (options.me !== undefined) {
    flashDescriptor(CHIP, { 0: [0, 4096], 2: [4096, BIOS - 4096], 1: [BIOS, CHIP - BIOS] }).copy(image);
    image.fill(options.me, 4096, BIOS);
  }
  if (options.mrcCache !== undefined) image.write(options.mrcCache, BIOS + 64);
  flashMap(CHIP, [
    ['SI_ALL', 0, BIOS],
    ['SI_DESC', 0, 4096],
    ['SI_ME', 4096, BIOS - 4096],
    ['SI_BIOS', BIOS, CHIP - BIOS, 4],
    ['RW_MRC_CACHE', BIOS, MRC_CACHE],
    ['FMAP', BIOS + MRC_CACHE, FMAP_AREA, 4],
    ['COREBOOT', CBFS_AT, CHIP - CBFS_AT, 4],
  ]).copy(image, BIOS + MRC_CACHE);
  fileSystem(options).copy(image, CBFS_AT);
  return image;
}

/** The file system: files from the beginning, the bootblock at the end, and room between them. */
function fileSystem(options: TestRom): Buffer {
  const area = Buffer.alloc(CHIP - CBFS_AT, 0xff);
  const updates = (options.microcodeSizes ?? []).map((size) => microcodeUpdate(size, [[0x906ea, 0x22]]));
  const stage = cbfsAttribute(0x53746748, Buffer.from('00000000feff0000' + '00000031' + '00004ca0', 'hex'));
  const files: CbfsFileSpec[] = [
    { name: 'cbfs_master_header', type: 0x02, content: Buffer.alloc(32, 1) },
    { name: 'intel_fit', type: 0x54, content: Buffer.alloc(16 * (FIT_ENTRIES + 1)) },
    { name: 'fallback/romstage', type: 0x11, content: options.stage ?? Buffer.alloc(999, 'code'), attributes: [stage] },
    { name: 'fallback/payload', type: 0x20, content: payload(options) },
    { name: 'build_info', type: 0x50, content: Buffer.from('COREBOOT_VERSION: test') },
  ];
  const fsp = options.fspSize === undefined ? undefined : fspComponent('M', options.fspSize, Buffer.alloc(2000, 3));
  if (fsp !== undefined) files.push({ name: 'fspm.bin', type: 0x60, content: fsp });
  if (updates.length > 0) {
    files.push({ name: 'cpu_microcode_blob.bin', type: 0x53, content: Buffer.concat(updates) });
  }
  const bootblock = Buffer.alloc(4096, 'boot');
  const bootblockAt = area.length - 64 - bootblock.length;
  let at = 0;
  let fitAt = 0;
  let microcodeAt = 0;
  for (const file of files) {
    const end = at + placeFile(area, at, file);
    if (file.name === 'intel_fit') fitAt = end - file.content.length;
    if (file.name === 'cpu_microcode_blob.bin') microcodeAt = end - file.content.length;
    at = alignUp(end, 64);
  }
  const address = (offset: number): bigint => BigInt(FOUR_GIB - CHIP + CBFS_AT + offset);
  let updateAt = microcodeAt;
  const entries = updates.map((update) => {
    updateAt += update.length;
    return fitEntry(address(updateAt - update.length), 0, 1);
  });
  const table = Buffer.concat([fitEntry(0x2020205f5449465fn, entries.length + 1, 0x80), ...entries]);
  table.writeUInt8(-table.reduce((sum, byte) => sum + byte, 0) & 0xff, 15);
  table.copy(area, fitAt);
  bootblock.writeBigUInt64LE(address(fitAt), bootblock.length - 0x40);
  const room = area.subarray(at + 28, bootblockAt);
  placeFile(area, at, { name: '', type: 0xffffffff, content: room });
  placeFile(area, bootblockAt, { name: 'bootblock', type: 1, content: bootblock, headerSize: 64 });
  return area;
}

function fitEntry(address: bigint, size: number, type: number): Buffer {
  const entry = Buffer.alloc(16);
  entry.writeBigUInt64LE(address, 0);
  entry.writeUIntLE(size, 8, 3);
  entry.writeUInt16LE(0x0100, 12);
  entry.writeUInt8(type, 14);
  return entry;
}

/** A Linux payload as cbfstool makes it: zero page, kernel, trampoline, command line, initramfs. */
function payload({ init = '#!/bin/sh\n', commandLine = 'console=ttyS0' }: TestRom): Buffer {
  const vmlinux = Buffer.concat([elf(), Buffer.from('Linux version 6.12.1 (test@test) #1\n\0')]);
  const kernel = Buffer.concat([Buffer.alloc(64, 'stub'), gzipSync(vmlinux)]);
  const initramfs = gzipSync(
    cpioArchive([
      ['bin', 0o40755, ''],
      ['bin/tool', 0o100755, 'a tool'],
      ['init', 0o100755, init],
    ]),
  );
  const page = Buffer.alloc(4096);
  page.writeUInt16LE(0x20f, 0x206);
  page.writeUInt32LE(0x1000000, 0x214);
  page.writeUInt32LE(0x4000000, 0x218);
  page.writeUInt32LE(initramfs.length, 0x21c);
  page.writeUInt32LE(0x91000, 0x228);
  const segments: readonly (readonly [string, number, Buffer])[] = [
    ['DATA', 0x90000, page],
    ['CODE', 0x1000000, kernel],
    ['CODE', 0x40000, Buffer.alloc(40, 'jump')],
    ['DATA', 0x91000, Buffer.from(`${commandLine}\0`)],
    ['DATA', 0x4000000, initramfs],
    ['ENTR', 0x40000, Buffer.alloc(0)],
  ];
  let at = 28 * segments.length;
  const table = segments.map(([type, address, content]) => {
    const entry = Buffer.alloc(28);
    entry.write(type, 'latin1');
    entry.writeUInt32BE(at, 8);
    entry.writeBigUInt64BE(BigInt(address), 12);
    entry.writeUInt32BE(content.length, 20);
    entry.writeUInt32BE(content.length, 24);
    at += content.length;
    return entry;
  });
  return Buffer.concat([...table, ...segments.map(([, , content]) => content)]);
}

/** An ELF file with two sections: `.text`, and the names. */
export function elf(): Buffer {
  const bytes = Buffer.alloc(64 + 100 + 32 + 3 * 64);
  Buffer.from('7f454c460201', 'hex').copy(bytes);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(196n, 40);
  [64, 3, 2].forEach((value, index) => bytes.writeUInt16LE(value, 58 + 2 * index));
  bytes.fill('code', 64, 164);
  bytes.write('\0.text\0.shstrtab\0', 164, 'latin1');
  const sections: readonly (readonly number[])[] = [
    [1, 1, 64, 100],
    [7, 3, 164, 17],
  ];
  sections.forEach(([name = 0, type = 0, offset = 0, size = 0], index) => {
    const at = 196 + 64 * (index + 1);
    bytes.writeUInt32LE(name, at);
    bytes.writeUInt32LE(type, at + 4);
    bytes.writeBigUInt64LE(BigInt(offset), at + 24);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
  });
  return bytes;
}
