/** Small but whole firmware structures, made for tests: none of them has anything of a vendor's in it. */

/** Regions of a flash descriptor by their number, as [offset, size] in bytes. */
export type Regions = Readonly<Record<number, readonly [offset: number, size: number]>>;

/** A descriptor of the 300 series for one chip of `chipSize` bytes. */
export function flashDescriptor(chipSize: number, regions: Regions): Buffer {
  const descriptor = Buffer.alloc(4096, 0xff);
  descriptor.writeUInt32LE(0x0ff0a55a, 0x10);
  descriptor.writeUInt32LE(0x0004_0003, 0x14); // regions at 0x40, one component at 0x30
  descriptor.writeUInt32LE(0x5810_0208, 0x18); // masters at 0x80, straps at 0x100
  descriptor.writeUInt32LE(0x0031_0330, 0x1c);
  descriptor.writeUInt32LE(0x02df, 0xefc); // two words of VSCC table at 0xdf0
  descriptor.writeUInt32LE(0xc00f0 | Math.log2(chipSize / (512 * 1024)), 0x30);
  for (let number = 0; number < 16; number++) {
    const [offset, size] = regions[number] ?? [0x7fff000, -0x7ffe000];
    descriptor.writeUInt32LE((((offset + size) / 4096 - 1) << 16) | (offset / 4096), 0x40 + 4 * number);
  }
  return descriptor;
}

/** A file for a firmware volume. */
export interface FileSpec {
  readonly name: string;
  readonly type: number;
  readonly content: Uint8Array;
  /** With a checksum over its content. */
  readonly summed?: boolean;
}

/** A firmware volume of `size` bytes in FFS2. */
export function firmwareVolume(size: number, files: readonly FileSpec[], name?: string): Buffer {
  const volume = Buffer.alloc(size, 0xff);
  volume.fill(0, 0, 72);
  guid('8c8ce578-8a3d-4f1c-9935-896185c32dd3').copy(volume, 16);
  volume.writeBigUInt64LE(BigInt(size), 32);
  volume.write('_FVH', 40, 'latin1');
  volume.writeUInt32LE(0x0004feff, 44);
  volume.writeUInt16LE(72, 48);
  volume.writeUInt8(2, 55);
  volume.writeUInt32LE(size / 4096, 56);
  volume.writeUInt32LE(4096, 60);
  let position = 72;
  if (name !== undefined) {
    // As EDK II does it: the extended header lies in a file of padding.
    const extended = Buffer.alloc(20);
    guid(name).copy(extended);
    extended.writeUInt32LE(20, 16);
    volume.writeUInt16LE(position + 24, 52);
    position = place(volume, position, { name: 'ffffffff-ffff-ffff-ffff-ffffffffffff', type: 0xf0, content: extended });
  }
  for (const file of files) position = place(volume, position, file);
  let sum = 0;
  for (let at = 0; at < 72; at += 2) sum += volume.readUInt16LE(at);
  volume.writeUInt16LE(-sum & 0xffff, 50);
  return volume;
}

/** Puts a file into a volume and returns where the next may begin. */
function place(volume: Buffer, position: number, { name, type, content, summed }: FileSpec): number {
  const header = Buffer.alloc(24);
  guid(name).copy(header);
  header.writeUInt8(type, 18);
  header.writeUInt8(summed === true ? 0x40 : 0, 19);
  header.writeUIntLE(24 + content.length, 20, 3);
  header.writeUInt8(-byteSum(header) & 0xff, 16);
  header.writeUInt8(summed === true ? -byteSum(content) & 0xff : 0xaa, 17);
  header.writeUInt8(0xf8, 23);
  header.copy(volume, position);
  Buffer.from(content).copy(volume, position + 24);
  return Math.ceil((position + 24 + content.length) / 8) * 8;
}

/** A section of a firmware file, padded to its alignment. */
export function section(type: number, content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(Math.ceil((4 + content.length) / 4) * 4);
  bytes.writeUIntLE(4 + content.length, 0, 3);
  bytes.writeUInt8(type, 3);
  Buffer.from(content).copy(bytes, 4);
  return bytes;
}

const COMPONENTS = { T: 1, M: 2, S: 3 } as const;

/**
 * A component shaped like one of Intel's FSP 2.0: two volumes, the FSP_INFO_HEADER with its patch table where coreboot
 * looks for it, one word to relocate, and `fill` for code.
 */
export function fspComponent(kind: keyof typeof COMPONENTS, size: number, fill: Uint8Array, base = 0xfff00000): Buffer {
  const header = Buffer.alloc(72);
  header.write('FSPH', 0, 'latin1');
  header.writeUInt32LE(72, 4);
  header.writeUInt8(0x20, 10);
  header.writeUInt8(3, 11);
  header.writeUInt32LE(0x07_00_40_10, 12);
  header.write('$TESTFSP', 16, 'latin1');
  header.writeUInt32LE(size, 24);
  header.writeUInt32LE(base, 28);
  header.writeUInt16LE((COMPONENTS[kind] << 12) | 3, 34);
  const patches = Buffer.alloc(16);
  patches.write('FSPP', 0, 'latin1');
  patches.writeUInt16LE(16, 4);
  patches.writeUInt8(1, 6);
  patches.writeUInt32LE(1, 8);
  const word = 0x400; // in the code below, which is erased flash otherwise
  patches.writeUInt32LE(word, 12);
  const info = section(0x19, Buffer.concat([header, patches]));
  const first = firmwareVolume(
    4096,
    [
      { name: '912740be-2284-4734-b971-84b027353f0c', type: 1, content: info },
      {
        name: '1b5c27fe-f01c-4fbc-aeae-341b2e992a17',
        type: 2,
        content: section(0x19, Buffer.alloc(2048, base >>> 24)),
      },
    ],
    'a66b7a1d-0c2e-4f7b-9d2a-3f5f0f5c7e10',
  );
  const code = section(0x19, fill);
  const second = firmwareVolume(size - 4096, [
    { name: 'b0a2fb6a-5d5e-4b0a-8ad5-0c1a4b4d8e11', type: 2, content: code, summed: true },
  ]);
  return Buffer.concat([first, second]);
}

/** A processor for `microcodeUpdate`: its CPUID signature and platform bits. */
export type ProcessorSpec = readonly [signature: number, platforms: number];

/** A microcode update of `size` bytes, a multiple of 1024, for one processor and perhaps more in its extended table. */
export function microcodeUpdate(size: number, processors: readonly [ProcessorSpec, ...ProcessorSpec[]]): Buffer {
  const [[signature, platforms], ...more] = processors;
  const table = more.length === 0 ? 0 : 20 + 12 * more.length;
  const update = Buffer.alloc(size, 0x5a);
  update.fill(0, 0, 48);
  for (const [at, value] of [
    [0, 1],
    [4, 0xf8],
    [8, 0x0215_2024],
    [12, signature],
    [20, 1],
    [24, platforms],
    [28, size - 48 - table],
    [32, size],
  ] as const) {
    update.writeUInt32LE(value, at);
  }
  if (table > 0) {
    const extended = update.subarray(size - table).fill(0);
    extended.writeUInt32LE(more.length, 0);
    more.forEach(([other, bits], index) => {
      extended.writeUInt32LE(other, 20 + 12 * index);
      extended.writeUInt32LE(bits, 24 + 12 * index);
    });
    extended.writeUInt32LE(-wordSum(extended) >>> 0, 4);
  }
  update.writeUInt32LE(-wordSum(update) >>> 0, 16);
  return update;
}

/** An EFI_GUID's bytes. */
export function guid(text: string): Buffer {
  const [a, b, c, d, e] = text.split('-') as [string, string, string, string, string];
  const reversed = [a, b, c].map((part) => Buffer.from(part, 'hex').reverse());
  return Buffer.concat([...reversed, Buffer.from(d + e, 'hex')]);
}

function byteSum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0);
}

function wordSum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 4) sum = (sum + bytes.readUInt32LE(at)) >>> 0;
  return sum;
}
