import { alignUp, FormatError, hex, isFilledWith, readGuid, slice, sum8 } from './binary.ts';

/**
 * Firmware volumes and the files in them: UEFI Platform Initialization Specification 1.8, volume 3, sections 3.2.1
 * (EFI_FIRMWARE_VOLUME_HEADER, extended header) and 3.2.3 (EFI_FFS_FILE_HEADER, integrity, state). Sections of files are
 * in ffsSection.ts.
 */
export interface FirmwareVolume extends VolumePlace {
  /** GUID of the file system. */
  readonly fileSystem: string;
  /** GUID of the volume, if it has one. */
  readonly name: string | undefined;
  /** The files, without padding; undefined for a file system other than FFS2 and FFS3 (variable stores, for example). */
  readonly files: readonly FirmwareFile[] | undefined;
  /** Bytes at the end that no file takes. */
  readonly free: number;
}

/** Where a volume lies, in bytes from the beginning of what was searched. */
interface VolumePlace {
  readonly offset: number;
  readonly size: number;
}

/** A file of a volume. */
interface FirmwareFile {
  /** GUID. */
  readonly name: string;
  readonly type: number;
  /** What the type means; `type 0x33` if it is unknown. */
  readonly typeName: string;
  /** Bytes from the beginning of what the volume was read from. */
  readonly offset: number;
  /** Bytes with the header. */
  readonly size: number;
  readonly content: Uint8Array;
  /** False if the file's own checksum does not fit its content (or has been left as it was when the file was moved). */
  readonly intact: boolean;
}

const FFS2 = '8c8ce578-8a3d-4f1c-9935-896185c32dd3';
const FFS3 = '5473c07a-3dcb-4dca-bd6f-1e9689e7349a';

const VOLUME_SIGNATURE = '_FVH';
const SIGNATURE_OFFSET = 40;
/** Up to the block map, whose shortest form is one entry and the end, 8 bytes each. */
const FIXED_HEADER = 56;
const SHORTEST_HEADER = FIXED_HEADER + 16;
const EXTENDED_HEADER = 20;
const ERASE_POLARITY = 0x800;

const FILE_HEADER = 24;
const LARGE_FILE_HEADER = 32;
const ATTRIBUTE_LARGE = 0x01;
const ATTRIBUTE_CHECKSUM = 0x40;
/** What stands for the checksum of the content if there is none. */
const NO_CHECKSUM = 0xaa;
/** Bits of a file's state, of which the highest that is set counts. */
const STATE = { headerConstruction: 0x01, headerValid: 0x02, dataValid: 0x04, update: 0x08, deleted: 0x10 };
const PADDING = 0xf0;

/** Section 3.2.3.1, "EFI_FV_FILETYPE". */
const FILE_TYPES: Readonly<Record<number, string>> = {
  0x01: 'raw',
  0x02: 'freeform',
  0x03: 'SEC core',
  0x04: 'PEI core',
  0x05: 'DXE core',
  0x06: 'PEIM',
  0x07: 'driver',
  0x08: 'PEIM and driver',
  0x09: 'application',
  0x0a: 'MM driver',
  0x0b: 'volume image',
  0x0c: 'MM and DXE driver',
  0x0d: 'MM core',
  0x0e: 'standalone MM driver',
  0x0f: 'standalone MM core',
  [PADDING]: 'padding',
};

/** Where volumes with a sound header lie in `bytes`, one after another; those inside other volumes are not searched for. */
export function findFirmwareVolumes(bytes: Uint8Array): readonly VolumePlace[] {
  const buffer = slice(bytes, 0, bytes.length, 'the image');
  const found: VolumePlace[] = [];
  for (let at = SIGNATURE_OFFSET; ;) {
    const signature = buffer.indexOf(VOLUME_SIGNATURE, at, 'latin1');
    if (signature === -1) return found;
    const place = { offset: signature - SIGNATURE_OFFSET, size: 0 };
    try {
      found.push({ ...place, size: readHeader(buffer, place.offset).length });
      at = place.offset + (found.at(-1)?.size ?? 0) + SIGNATURE_OFFSET;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      at = signature + 1; // four letters that mean nothing here
    }
  }
}

/**
 * Reads the volume that begins at `offset`, with its files.
 *
 * @throws FormatError if its header, or that of a file, is damaged, or if something leaves the volume.
 */
export function readFirmwareVolume(bytes: Uint8Array, offset: number): FirmwareVolume {
  const volume = readHeader(bytes, offset);
  const fileSystem = readGuid(volume, 16);
  const extended = volume.readUInt16LE(52);
  let start = volume.readUInt16LE(48);
  let name: string | undefined;
  if (extended !== 0) {
    const what = `the extended header of the firmware volume at ${hex(offset)}`;
    const header = slice(volume, extended, EXTENDED_HEADER, what);
    name = readGuid(header, 0);
    start = extended + header.readUInt32LE(16);
    if (start < extended + EXTENDED_HEADER || start > volume.length) throw new FormatError(`${what} has no sound size`);
  }
  const place = { offset, size: volume.length, fileSystem, name };
  if (fileSystem !== FFS2 && fileSystem !== FFS3) return { ...place, files: undefined, free: 0 };
  return { ...place, ...readFiles(volume, alignUp(start, 8), offset) };
}

/** The whole volume, once its header has been found sound. */
function readHeader(bytes: Uint8Array, offset: number): Buffer {
  const what = `the firmware volume at ${hex(offset)}`;
  const fixed = slice(bytes, offset, FIXED_HEADER, what);
  if (fixed.toString('latin1', SIGNATURE_OFFSET, SIGNATURE_OFFSET + 4) !== VOLUME_SIGNATURE) {
    throw new FormatError(`there is no firmware volume at ${hex(offset)}`);
  }
  const length = fixed.readBigUInt64LE(32);
  const headerLength = fixed.readUInt16LE(48);
  if (headerLength < SHORTEST_HEADER || headerLength % 2 !== 0 || length < BigInt(headerLength)) {
    throw new FormatError(`${what} is damaged: its header has an impossible size`);
  }
  if (length > BigInt(bytes.length - offset)) {
    throw new FormatError(`${what} is cut off: it has ${length} bytes, and there are ${bytes.length - offset}`);
  }
  const volume = slice(bytes, offset, Number(length), what);
  let sum = 0;
  for (let at = 0; at < headerLength; at += 2) sum = (sum + volume.readUInt16LE(at)) & 0xffff;
  if (sum !== 0) throw new FormatError(`${what} is damaged: the checksum of its header is wrong`);
  return volume;
}

function readFiles(volume: Buffer, start: number, base: number): { files: readonly FirmwareFile[]; free: number } {
  const erased = (volume.readUInt32LE(44) & ERASE_POLARITY) === 0 ? 0 : 0xff;
  const files: FirmwareFile[] = [];
  let position = start;
  while (volume.length - position >= FILE_HEADER) {
    const header = volume.subarray(position, position + FILE_HEADER);
    if (isFilledWith(header, erased)) break;
    const what = `the firmware file at ${hex(base + position)}`;
    const { size, headerSize } = fileSizes(volume, position, what);
    const file = slice(volume, position, size, what);
    if (headerSum(file, headerSize) !== 0)
      throw new FormatError(`${what} is damaged: the checksum of its header is wrong`);
    const content = file.subarray(headerSize);
    const type = file.readUInt8(18);
    if (type !== PADDING && isLive(file.readUInt8(23) ^ erased)) {
      const checksum = file.readUInt8(17);
      const summed = (file.readUInt8(19) & ATTRIBUTE_CHECKSUM) !== 0;
      files.push({
        name: readGuid(file, 0),
        type,
        typeName: FILE_TYPES[type] ?? `type ${hex(type)}`,
        offset: base + position,
        size,
        content,
        intact: summed ? ((sum8(content) + checksum) & 0xff) === 0 : checksum === NO_CHECKSUM,
      });
    }
    position = alignUp(position + size, 8);
  }
  return { files, free: Math.max(0, volume.length - position) };
}

function fileSizes(volume: Buffer, position: number, what: string): { size: number; headerSize: number } {
  const large = (volume.readUInt8(position + 19) & ATTRIBUTE_LARGE) !== 0;
  const headerSize = large ? LARGE_FILE_HEADER : FILE_HEADER;
  const size = large
    ? Number(slice(volume, position, LARGE_FILE_HEADER, what).readBigUInt64LE(24))
    : volume.readUIntLE(position + 20, 3);
  if (size < headerSize) throw new FormatError(`${what} has an impossible size: ${size} bytes`);
  return { size, headerSize };
}

/** The checksum of the content and the state are taken for zero in that of the header. */
function headerSum(file: Buffer, headerSize: number): number {
  return (sum8(file.subarray(0, headerSize)) - file.readUInt8(17) - file.readUInt8(23)) & 0xff;
}

/** `state` with its erased bits as zeros. */
function isLive(state: number): boolean {
  return (state & STATE.dataValid) !== 0 && state < STATE.deleted;
}
