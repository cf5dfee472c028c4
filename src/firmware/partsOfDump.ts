import { type BlobSlots, DESCRIPTOR_REGIONS } from '../model/blobSlot.ts';
import { availableFlash } from '../model/flashBudget.ts';
import type { Platform } from '../model/recipe.ts';
import { FormatError, hex, isFilledWith } from '../formats/binary.ts';
import { checkRegions, type FlashRegion, readFlashDescriptor } from '../formats/ifd.ts';

/** A part of a file, for one mount of a build step. */
export interface BlobPart {
  /** Mount name. */
  readonly name: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly content: Uint8Array;
}

/** What a file holds for a platform: the parts for each slot that it fills. */
export interface Recognised {
  readonly slots: Readonly<Record<string, readonly BlobPart[]>>;
  /** What a person should know besides. */
  readonly notes: readonly string[];
}

/**
 * Takes a dump of a whole flash chip apart by the regions of its descriptor.
 *
 * @throws FormatError if it is cut off, of another board, or damaged; or if it holds a region that would be lost.
 */
export function partsOfDump(platform: Platform, slots: BlobSlots, dump: Uint8Array): Recognised {
  const { size } = platform.flash;
  if (dump.length !== size) {
    const why = dump.length < size ? 'cut off, or a dump of another board' : 'a dump of another board';
    throw new FormatError(`it has ${dump.length} bytes, and the flash chip has ${size}: it is ${why}`);
  }
  const descriptor = readFlashDescriptor(dump);
  checkRegions(descriptor, size);
  checkBiosRegion(platform, descriptor.regions);

  const parts: Record<string, readonly BlobPart[]> = {};
  const notes: string[] = [];
  for (const [slot, { fills, optional }] of Object.entries(slots)) {
    if (!('region' in fills)) continue;
    const region = descriptor.regions.find(({ name }) => name === fills.region);
    const content = region && dump.subarray(region.offset, region.offset + region.size);
    if (region !== undefined && content !== undefined && !isFilledWith(content, 0xff)) {
      parts[slot] = [{ name: `${region.name}.bin`, offset: region.offset, content }];
    } else if (optional === true) {
      notes.push(
        `the dump has ${region === undefined ? 'no' : 'nothing in its'} region ${fills.region}; it is left out`,
      );
    } else if (region === undefined) {
      throw new FormatError(`its descriptor has no region ${fills.region}`);
    } else {
      throw new FormatError(
        `the region ${fills.region} is empty (all ones): the machine does not let itself be read there. ` +
          'Read the chip with a programmer, while the machine is off',
      );
    }
  }
  checkNothingIsLost(dump, descriptor.regions);
  return { slots: parts, notes };
}

/** The region of the firmware must be where the platform's image has it: nothing tells boards apart better. */
function checkBiosRegion({ flash, name }: Platform, regions: readonly FlashRegion[]): void {
  const offset = flash.size - availableFlash(flash);
  const bios = regions.find((region) => region.name === 'bios');
  const end = bios && bios.offset + bios.size;
  if (bios?.offset === offset && end === flash.size) return;
  const found = bios === undefined ? 'there is none' : `it is from ${hex(bios.offset)} to ${hex(end ?? 0)}`;
  throw new FormatError(
    `its region bios should be from ${hex(offset)} to ${hex(flash.size)}, and ${found}: a dump of another board than ${name}`,
  );
}

/** What no slot takes would be gone from the image that is made of the dump. */
function checkNothingIsLost(dump: Uint8Array, regions: readonly FlashRegion[]): void {
  const known: readonly string[] = [...DESCRIPTOR_REGIONS, 'bios'];
  for (const { name, offset, size } of regions) {
    if (known.includes(name) || isFilledWith(dump.subarray(offset, offset + size), 0xff)) continue;
    throw new FormatError(`there is something in its region ${name}, which no slot takes; it would be lost`);
  }
}
