import { FormatError, hex, slice } from './binary.ts';

/**
 * Sections of ELF files: System V Application Binary Interface, chapter 4 ("Object Files": header, sections), draft of 2013. Little-
 * endian only.
 */
export interface Program {
  /** `ELF64`, `PE32+`, … */
  readonly format: string;
  /** `x86-64`, `i386`; `machine 0x33` if it is unknown. */
  readonly machine: string;
  /** Those that have content in the file, in the order of the file's own table. */
  readonly sections: readonly ProgramSection[];
}

/** A part of a program. */
interface ProgramSection {
  readonly name: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  /** Bytes in the file. */
  readonly size: number;
}

const MAGIC = Buffer.from('7f454c46', 'hex');
const NULL = 0;
const NO_BITS = 8;
const LITTLE_ENDIAN = 1;
const MACHINES: Readonly<Record<number, string>> = { 3: 'i386', 62: 'x86-64', 183: 'aarch64', 243: 'riscv' };

/** Where fields lie in each of the two classes. */
const CLASSES = {
  1: { name: 'ELF32', header: 52, sectionsAt: 32, counts: 46, entry: 40, offset: 16, size: 20 },
  2: { name: 'ELF64', header: 64, sectionsAt: 40, counts: 58, entry: 64, offset: 24, size: 32 },
} as const;

/** True if the bytes begin like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

/**
 * Reads the sections of an ELF file.
 *
 * @throws FormatError if it is none, cut off, or big-endian.
 */
export function readElf(bytes: Uint8Array): Program {
  if (!isElf(bytes)) throw new FormatError('this is no ELF file');
  const ident = slice(bytes, 0, 16, 'the header of the ELF file');
  const layout = CLASSES[ident.readUInt8(4) as 1 | 2] as (typeof CLASSES)[1 | 2] | undefined;
  if (layout === undefined || ident.readUInt8(5) !== LITTLE_ENDIAN) {
    throw new FormatError('an ELF file of a kind that is not supported');
  }
  const header = slice(bytes, 0, layout.header, 'the header of the ELF file');
  const machine = header.readUInt16LE(18);
  const number = (from: Buffer, at: number): number =>
    layout.name === 'ELF32' ? from.readUInt32LE(at) : Number(from.readBigUInt64LE(at));
  const tableAt = number(header, layout.sectionsAt);
  const [entrySize, count, namesIndex] = [0, 2, 4].map((at) => header.readUInt16LE(layout.counts + at)) as [
    number,
    number,
    number,
  ];
  const program = { format: layout.name, machine: MACHINES[machine] ?? `machine ${hex(machine)}` };
  if (tableAt === 0 || count === 0) return { ...program, sections: [] };
  if (entrySize < layout.entry) throw new FormatError('the section table of the ELF file has impossible entries');
  const table = slice(bytes, tableAt, entrySize * count, 'the section table of the ELF file');
  const entries = Array.from({ length: count }, (_, index) => {
    const entry = table.subarray(index * entrySize, (index + 1) * entrySize);
    const [name, type] = [entry.readUInt32LE(0), entry.readUInt32LE(4)];
    return { name, type, offset: number(entry, layout.offset), size: number(entry, layout.size) };
  });
  const names = entries[namesIndex];
  const text = names && slice(bytes, names.offset, names.size, 'the section names of the ELF file');
  return {
    ...program,
    sections: entries
      .filter(({ type }) => type !== NULL && type !== NO_BITS)
      .map(({ name, offset, size }) => {
        const title = text === undefined ? '' : readName(text, name);
        slice(bytes, offset, size, `the section ${title} of the ELF file`);
        return { name: title, offset, size };
      }),
  };
}

/** A string of the table, up to its NUL. */
function readName(table: Buffer, at: number): string {
  const end = table.indexOf(0, at);
  if (at >= table.length || end === -1) throw new FormatError('a section of the ELF file has no sound name');
  return table.toString('latin1', at, end).replace(/[^\x20-\x7e]/g, '?');
}
