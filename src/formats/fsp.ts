import { FormatError, hex, slice } from './binary.ts';
import { readSections, SECTION } from './ffsSection.ts';
import { type FirmwareVolume, readFirmwareVolume } from './firmwareVolume.ts';

/**
 * Intel's Firmware Support Package: a file of firmware volumes, which divide into components, one for each phase of a
 * start. Intel Firmware Support Package External Architecture Specification 2.0 (doc. 336259), sections 4 (component
 * layout), 5.1.1 (FSP_INFO_HEADER) and 5.1.4 (how it is found).
 */
export interface FspComponent {
  /** `T` sets up temporary memory, `M` memory, `S` the chipset; `?4` for a type that the specification does not name. */
  readonly kind: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly size: number;
  readonly content: Uint8Array;
  /** Eight characters, which belong to the platform. */
  readonly imageId: string;
  /** `major.minor.revision.build`. */
  readonly imageRevision: string;
  /** Physical address that the component is linked for. */
  readonly imageBase: number;
  /** `2.0`. */
  readonly specification: string;
}

/** The file of a volume that holds the FSP_INFO_HEADER, in its first section. */
const INFO_FILE = '912740be-2284-4734-b971-84b027353f0c';
/** Of the header's revision 3, which is FSP 2.0. */
const INFO_HEADER = 72;
const KINDS: Readonly<Record<number, string>> = { 1: 'T', 2: 'M', 3: 'S' };

/**
 * Takes a file like `Fsp.fd` apart. It must consist of components and of nothing else, and every checksum of its volumes
 * and files must be right.
 *
 * @throws FormatError
 */
export function splitFsp(file: Uint8Array): readonly FspComponent[] {
  const components: FspComponent[] = [];
  for (let offset = 0; offset < file.length;) {
    const component = readFspComponent(file, offset);
    checkVolumes(file, component);
    if (components.some(({ kind }) => kind === component.kind)) {
      throw new FormatError(`there are two components FSP-${component.kind}; the second is at ${hex(offset)}`);
    }
    components.push(component);
    offset += component.size;
  }
  return components;
}

/**
 * The component that begins at `offset`. Its checksums are not looked at: whoever moves a component to another address
 * changes its files, and coreboot's cbfstool leaves the checksums as they were.
 *
 * @throws FormatError if none begins there, or if it is cut off.
 */
export function readFspComponent(file: Uint8Array, offset: number): FspComponent {
  const what = `the FSP component at ${hex(offset)}`;
  const info = findInfo(readFirmwareVolume(file, offset), what);
  const size = info.readUInt32LE(24);
  const kind = info.readUInt16LE(34) >>> 12;
  const [build, revision, minor, major] = info.subarray(12, 16);
  if (size === 0) throw new FormatError(`${what} has no size`);
  return {
    kind: KINDS[kind] ?? `?${kind}`,
    offset,
    size,
    content: slice(file, offset, size, what),
    imageId: info.toString('latin1', 16, 24).replace(/[^\x20-\x7e]+/g, ''),
    imageRevision: [major, minor, revision, build].join('.'),
    imageBase: info.readUInt32LE(28),
    specification: `${info.readUInt8(10) >>> 4}.${info.readUInt8(10) & 0xf}`,
  };
}

/** The FSP_INFO_HEADER of a component's first volume: in its first file, in a raw section. */
function findInfo(volume: FirmwareVolume, what: string): Buffer {
  const file = volume.files?.[0];
  const section = file?.name === INFO_FILE ? readSections(file.content)[0] : undefined;
  if (section?.type !== SECTION.raw) throw new FormatError(`${what} does not begin with an FSP_INFO_HEADER`);
  const header = slice(section.content, 0, INFO_HEADER, `the FSP_INFO_HEADER of ${what}`);
  if (header.toString('latin1', 0, 4) !== 'FSPH')
    throw new FormatError(`${what} has no FSP_INFO_HEADER: its signature is missing`);
  const [length, specification, revision] = [header.readUInt32LE(4), header.readUInt8(10), header.readUInt8(11)];
  if (length < INFO_HEADER || revision < 3 || specification < 0x20) {
    throw new FormatError(`${what} is of a specification before 2.0, which is not supported`);
  }
  return header;
}

/** A component is one or more volumes, without a gap. */
function checkVolumes(file: Uint8Array, { kind, offset, size }: FspComponent): void {
  const end = offset + size;
  for (let position = offset; position < end;) {
    const volume = readFirmwareVolume(file.subarray(0, end), position);
    const damaged = volume.files?.find(({ intact }) => !intact);
    if (damaged !== undefined) {
      throw new FormatError(`FSP-${kind} is damaged: the checksum of its file ${damaged.name} is wrong`);
    }
    position += volume.size;
  }
}
