import { FormatError, hex, slice } from './binary.ts';
import type { Program } from './elf.ts';

/**
 * Sections of PE files, the form of UEFI's programs: Microsoft, "PE Format" (learn.microsoft.com, PE/COFF specification), sections
 * "MS-DOS Stub", "COFF File Header", "Optional Header" and "Section Table".
 */
const DOS_HEADER = 64;
const COFF_HEADER = 24; // with the signature
const SECTION = 40;
const MACHINES: Readonly<Record<number, string>> = {
  0x014c: 'i386',
  0x8664: 'x86-64',
  0xaa64: 'aarch64',
  0x5064: 'riscv',
};
const FORMATS: Readonly<Record<number, string>> = { 0x10b: 'PE32', 0x20b: 'PE32+' };

/** True if the bytes begin like a PE file. */
export function isPe(bytes: Uint8Array): boolean {
  if (bytes.length < DOS_HEADER || bytes[0] !== 0x4d || bytes[1] !== 0x5a) return false;
  const at = slice(bytes, 60, 4, 'the header').readUInt32LE();
  return at + COFF_HEADER <= bytes.length && slice(bytes, at, 4, 'the signature').toString('latin1') === 'PE\0\0';
}

/**
 * Reads the sections of a PE file.
 *
 * @throws FormatError if it is none, or cut off.
 */
export function readPe(bytes: Uint8Array): Program {
  if (!isPe(bytes)) throw new FormatError('this is no PE file');
  const at = slice(bytes, 60, 4, 'the header of the PE file').readUInt32LE();
  const header = slice(bytes, at, COFF_HEADER, 'the header of the PE file');
  const machine = header.readUInt16LE(4);
  const count = header.readUInt16LE(6);
  const optionalSize = header.readUInt16LE(20);
  const magic = slice(bytes, at + COFF_HEADER, 2, 'the optional header of the PE file').readUInt16LE();
  const table = slice(bytes, at + COFF_HEADER + optionalSize, count * SECTION, 'the section table of the PE file');
  return {
    format: FORMATS[magic] ?? 'PE',
    machine: MACHINES[machine] ?? `machine ${hex(machine)}`,
    sections: Array.from({ length: count }, (_, index) => {
      const entry = table.subarray(index * SECTION, (index + 1) * SECTION);
      const name = entry
        .toString('latin1', 0, 8)
        .replace(/\0.*$/s, '')
        .replace(/[^\x20-\x7e]/g, '?');
      const [size, offset] = [entry.readUInt32LE(16), entry.readUInt32LE(20)];
      slice(bytes, offset, size, `the section ${name} of the PE file`);
      return { name, offset, size };
    }),
  };
}
