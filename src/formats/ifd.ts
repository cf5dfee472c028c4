import { FormatError, hex, slice } from './binary.ts';

/**
 * The flash descriptor of Intel's chipsets: the first 4 KiB of a flash chip, which say how it is divided into regions.
 * Public sources: Intel 300 Series Chipset Family PCH Datasheet, volume 1 (doc. 337347), chapter "Serial Peripheral
 * Interface", sections "Flash Descriptor" (map, FLVALSIG) and "Flash Regions"; volume 2 (doc. 337348), registers
 * BIOS_FREG0 and following, which mirror the region section. Where these are silent, the layout that coreboot's ifdtool reads.
 */
export interface FlashDescriptor {
  /** Flash chips that it describes, 1 or 2. */
  readonly components: number;
  /** Bytes of all chips together; undefined if the chipset is too old to say it unambiguously. */
  readonly chipSize: number | undefined;
  /** The regions in use, by their number. */
  readonly regions: readonly FlashRegion[];
}

/** A part of the flash that belongs to one master. */
export interface FlashRegion {
  readonly number: number;
  /** As flashrom and ifdtool call it: `fd`, `bios`, `me`, `gbe`, …; `region9` for what has no name. */
  readonly name: string;
  /** Bytes from the beginning of the flash. */
  readonly offset: number;
  readonly size: number;
}

/** Bytes of the descriptor. Its own region is this long. */
export const DESCRIPTOR_SIZE = 4096;

const SIGNATURE_OFFSET = 0x10;
const SIGNATURE = 0x0ff0a55a;
/** FLUMAP1, the last of what lies in fixed places: 256 bytes of OEM section follow it. */
const UPPER_MAP = DESCRIPTOR_SIZE - 256 - 4;
const NAMES = [
  'fd',
  'bios',
  'me',
  'gbe',
  'pd',
  'devexp',
  'bios2',
  'region7',
  'ec',
  'devexp2',
  'ie',
  '10gbe0',
  '10gbe1',
];
const PTT = 15;
const MAX_REGIONS = 16;
/** Before the 100 series, there were eight regions. */
const OLD_REGIONS = 8;
const SMALLEST_DENSITY = 512 * 1024;
const LARGEST_DENSITY = 7; // 64 MiB
const BLOCK = 4096;

/** True if the image begins with a flash descriptor, sound or not. */
export function hasFlashDescriptor(image: Uint8Array): boolean {
  return (
    image.length >= DESCRIPTOR_SIZE && slice(image, SIGNATURE_OFFSET, 4, 'the signature').readUInt32LE() === SIGNATURE
  );
}

/**
 * Reads the descriptor at the beginning of an image, which may end after it. What it says of the regions is not judged
 * here: `checkRegions` does that.
 *
 * @throws FormatError if there is none, or if its own structures lie outside of it.
 */
export function readFlashDescriptor(image: Uint8Array): FlashDescriptor {
  const descriptor = slice(image, 0, DESCRIPTOR_SIZE, 'the flash descriptor');
  if (!hasFlashDescriptor(descriptor)) {
    throw new FormatError(`there is no flash descriptor: its signature is missing at ${hex(SIGNATURE_OFFSET)}`);
  }
  const map0 = descriptor.readUInt32LE(0x14);
  const map1 = descriptor.readUInt32LE(0x18);
  const componentBase = (map0 & 0xff) << 4;
  const regionBase = ((map0 >>> 16) & 0xff) << 4;
  const masterBase = (map1 & 0xff) << 4;
  const strapBase = ((map1 >>> 16) & 0xff) << 4;
  const components = ((map0 >>> 8) & 3) + 1;
  if (components > 2) throw new FormatError(`the flash descriptor names ${components} flash chips; there can be two`);

  // How many regions there are is not said: as many as have room before the next structure.
  const next = Math.min(...[componentBase, masterBase, strapBase, UPPER_MAP].filter((base) => base > regionBase));
  const count = Math.min(Math.floor((next - regionBase) / 4), MAX_REGIONS);
  const registers = slice(descriptor, regionBase, 4 * count, 'the region section of the flash descriptor');
  const regions = Array.from({ length: count }, (_, number) => readRegion(number, registers.readUInt32LE(4 * number)));
  const densities = slice(descriptor, componentBase, 4, 'the component section of the flash descriptor').readUInt32LE();
  return {
    components,
    chipSize: count > OLD_REGIONS ? chipSize(densities, components) : undefined,
    regions: regions.filter((region) => region !== undefined),
  };
}

/** FLREG: base in bits 14:0, limit in bits 30:16, in blocks; unused if the limit is below the base. */
function readRegion(number: number, register: number): FlashRegion | undefined {
  const base = register & 0x7fff;
  const limit = (register >>> 16) & 0x7fff;
  if (limit < base) return undefined;
  const name = number === PTT ? 'ptt' : (NAMES[number] ?? `region${number}`);
  return { number, name, offset: base * BLOCK, size: (limit - base + 1) * BLOCK };
}

/** FLCOMP: density of the first chip in bits 3:0, of the second in bits 7:4; a power of two times 512 KiB. */
function chipSize(register: number, components: number): number {
  let size = 0;
  for (let chip = 0; chip < components; chip++) {
    const density = (register >>> (4 * chip)) & 0xf;
    if (density > LARGEST_DENSITY) throw new FormatError(`the flash descriptor has an unknown chip size: ${density}`);
    size += SMALLEST_DENSITY << density;
  }
  return size;
}

/**
 * Makes sure that the regions describe a flash of `size` bytes: the chips have that size, each region is inside, no two
 * overlap, and the descriptor's own is where it is.
 *
 * @throws FormatError that names the region.
 */
export function checkRegions({ regions, chipSize }: FlashDescriptor, size: number): void {
  if (chipSize !== undefined && chipSize !== size) {
    throw new FormatError(`the flash descriptor is that of a flash of ${chipSize} bytes, and this has ${size}`);
  }
  const own = regions.find(({ number }) => number === 0);
  if (own === undefined || own.offset !== 0) {
    throw new FormatError('the flash descriptor does not say that it lies at the beginning of the flash');
  }
  let before: FlashRegion | undefined;
  for (const region of regions.toSorted((a, b) => a.offset - b.offset)) {
    const end = region.offset + region.size;
    if (end > size) {
      throw new FormatError(`the region ${region.name} ends at ${hex(end)}, and the flash at ${hex(size)}`);
    }
    if (before !== undefined && before.offset + before.size > region.offset) {
      throw new FormatError(`the regions ${place(before)} and ${place(region)} overlap`);
    }
    before = region;
  }
}

function place({ name, offset, size }: FlashRegion): string {
  return `${name} (${hex(offset)} to ${hex(offset + size)})`;
}
