import { FormatError, slice } from './binary.ts';

/**
 * Linux for x86 as boot loaders get it: Linux, Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header") and
 * Documentation/arch/x86/zero-page.rst. Everything is little-endian.
 */
export interface BzImage {
  /** Of the boot protocol: `2.15`. */
  readonly protocol: string;
  /** `6.12.107 (user@host) #1 …`; undefined if it is not in it. */
  readonly version: string | undefined;
  /** Bytes of the real-mode part; the protected-mode kernel follows it. */
  readonly setupSize: number;
  /** Where the compressed kernel lies, bytes from the beginning of the protected-mode part, if it is said. */
  readonly payload: { readonly offset: number; readonly size: number } | undefined;
}

/** What coreboot's cbfstool tells a Linux payload, in the place of a boot loader; it does not keep the real-mode part. */
export interface ZeroPage {
  readonly protocol: string;
  readonly kernelAddress: number;
  readonly initrdAddress: number;
  readonly initrdSize: number;
  readonly commandLineAddress: number;
}

const SECTOR = 512;
const HEADER_SIZE = 0x268;
const MAGIC_AT = 0x202;
const MAGIC = 'HdrS';
/** The first protocol with payload_offset. */
const WITH_PAYLOAD = 0x0208;

function isBzImage(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_SIZE && slice(bytes, MAGIC_AT, 4, 'the magic').toString('latin1') === MAGIC;
}

/**
 * Reads the header of a bzImage.
 *
 * @throws FormatError if it is none, or cut off.
 */
export function readBzImage(bytes: Uint8Array): BzImage {
  if (!isBzImage(bytes)) throw new FormatError('this is no bzImage');
  const header = slice(bytes, 0, HEADER_SIZE, 'the header of the kernel');
  const protocol = header.readUInt16LE(0x206);
  const setupSize = ((header.readUInt8(0x1f1) || 4) + 1) * SECTOR;
  if (setupSize > bytes.length) throw new FormatError('the kernel is cut off: it ends inside its real-mode part');
  return {
    protocol: protocolName(protocol),
    version: readVersion(bytes, header.readUInt16LE(0x20e)),
    setupSize,
    payload:
      protocol < WITH_PAYLOAD ? undefined : { offset: header.readUInt32LE(0x248), size: header.readUInt32LE(0x24c) },
  };
}

/** The field holds the offset less 0x200. */
function readVersion(bytes: Uint8Array, field: number): string | undefined {
  const start = field + SECTOR;
  if (field === 0 || start >= bytes.length) return undefined;
  const text = slice(bytes, start, Math.min(256, bytes.length - start), 'the version of the kernel');
  return /^[\x20-\x7e]+(?=\0)/.exec(text.toString('latin1'))?.[0];
}

/** Reads a zero page as cbfstool fills it in; undefined if it is none. */
export function readZeroPage(bytes: Uint8Array): ZeroPage | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  const page = slice(bytes, 0, HEADER_SIZE, 'the zero page');
  const protocol = page.readUInt16LE(0x206);
  if (protocol < 0x0200 || protocol > 0x02ff) return undefined;
  return {
    protocol: protocolName(protocol),
    kernelAddress: page.readUInt32LE(0x214),
    initrdAddress: page.readUInt32LE(0x218),
    initrdSize: page.readUInt32LE(0x21c),
    commandLineAddress: page.readUInt32LE(0x228),
  };
}

/** The banner that every unpacked kernel carries: `6.12.107 (user@host) (gcc …) #1 …`; undefined if it is not in it. */
export function findLinuxBanner(vmlinux: Uint8Array): string | undefined {
  const bytes = slice(vmlinux, 0, vmlinux.length, 'the kernel');
  const mark = 'Linux version ';
  for (let at = bytes.indexOf(mark, 0, 'latin1'); at !== -1; at = bytes.indexOf(mark, at + 1, 'latin1')) {
    const banner = /^\d[\x20-\x7e]*/.exec(bytes.toString('latin1', at + mark.length, at + 512))?.[0];
    if (banner !== undefined) return banner;
  }
  return undefined;
}

function protocolName(number: number): string {
  return `${number >> 8}.${number & 0xff}`;
}
