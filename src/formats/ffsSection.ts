import { alignUp, FormatError, hex, readGuid, slice } from './binary.ts';

/**
 * Sections of firmware files: UEFI Platform Initialization Specification 1.8, volume 3, section 3.2.4 and the section
 * types in 2.2.4 and 3.2.5.
 */
export interface FirmwareSection {
  readonly type: number;
  /** What the type means; `type 0x33` if it is unknown. */
  readonly typeName: string;
  /** Bytes from the beginning of what was read. */
  readonly offset: number;
  /** Bytes with the header. */
  readonly size: number;
  /** What follows the headers, of a kind of section that has one of its own that too. */
  readonly content: Uint8Array;
  /** Of a GUID-defined section: how its content is encoded. Of a freeform one: what it is. */
  readonly guid?: string;
  /** Of a compression section: 0 for none, 1 for the standard's own. */
  readonly compression?: number;
  /** Of a user interface or version section. */
  readonly text?: string;
}

/** A GUID-defined section with this GUID is compressed with LZMA (EDK II: gLzmaCustomDecompressGuid). */
export const LZMA_SECTION = 'ee4e5898-3914-4259-9d6e-dc7bd79403cf';

export const SECTION = {
  compression: 0x01,
  guidDefined: 0x02,
  pe32: 0x10,
  te: 0x12,
  version: 0x14,
  userInterface: 0x15,
  volumeImage: 0x17,
  freeform: 0x18,
  raw: 0x19,
} as const;

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [SECTION.compression]: 'compressed',
  [SECTION.guidDefined]: 'GUID-defined',
  0x03: 'disposable',
  [SECTION.pe32]: 'PE32',
  0x11: 'PIC',
  [SECTION.te]: 'TE',
  0x13: 'DXE dependencies',
  [SECTION.version]: 'version',
  [SECTION.userInterface]: 'name',
  0x16: '16-bit code',
  [SECTION.volumeImage]: 'volume image',
  [SECTION.freeform]: 'freeform',
  [SECTION.raw]: 'raw',
  0x1b: 'PEI dependencies',
  0x1c: 'MM dependencies',
};

const HEADER = 4;
const LARGE_HEADER = 8;
/** A size that says: the real one follows the header. */
const LARGE = 0xffffff;

/**
 * The sections of a file's content, or of what was encoded in another section.
 *
 * @throws FormatError if one leaves it.
 */
export function readSections(content: Uint8Array): readonly FirmwareSection[] {
  const sections: FirmwareSection[] = [];
  // A file may be padded by less than a header.
  for (let offset = 0; content.length - offset >= HEADER;) {
    const section = readSection(content, offset);
    sections.push(section);
    offset = alignUp(offset + section.size, 4);
  }
  return sections;
}

function readSection(bytes: Uint8Array, offset: number): FirmwareSection {
  const what = `the section at ${hex(offset)}`;
  const header = slice(bytes, offset, HEADER, what);
  const large = header.readUIntLE(0, 3) === LARGE;
  const size = large ? slice(bytes, offset, LARGE_HEADER, what).readUInt32LE(4) : header.readUIntLE(0, 3);
  const common = large ? LARGE_HEADER : HEADER;
  if (size < common) throw new FormatError(`${what} has an impossible size: ${size} bytes`);
  const section = slice(bytes, offset, size, what);
  const type = section.readUInt8(3);
  return {
    type,
    typeName: TYPE_NAMES[type] ?? `type ${hex(type)}`,
    offset,
    size,
    ...readOwn(section, type, common, what),
  };
}

/** What only this type of section has. */
function readOwn(
  section: Buffer,
  type: number,
  common: number,
  what: string,
): Pick<FirmwareSection, 'content' | 'guid' | 'compression' | 'text'> {
  const rest = (from: number): Buffer => slice(section, from, section.length - from, what);
  switch (type) {
    case SECTION.compression:
      return { compression: slice(section, common, 5, what).readUInt8(4), content: rest(common + 5) };
    case SECTION.guidDefined: {
      const start = slice(section, common, 20, what).readUInt16LE(16);
      if (start < common + 20) throw new FormatError(`${what} says that its data begin inside its header`);
      return { guid: readGuid(section, common), content: rest(start) };
    }
    case SECTION.freeform:
      return { guid: readGuid(section, common), content: rest(common + 16) };
    case SECTION.userInterface:
      return { text: readText(rest(common)), content: rest(common) };
    case SECTION.version:
      return { text: readText(rest(common + 2)), content: rest(common) };
    default:
      return { content: rest(common) };
  }
}

/** UCS-2 up to a NUL. */
function readText(bytes: Buffer): string {
  const text = bytes.toString('utf16le');
  const end = text.indexOf('\0');
  return (end === -1 ? text : text.slice(0, end)).toWellFormed();
}
