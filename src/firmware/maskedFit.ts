import { FormatError, isFilledWith, slice } from '../formats/binary.ts';
import { readFit } from '../formats/fit.ts';

/** The table by which the processor finds microcode, and the pointer to it, both in bytes from the beginning of the image. */
export interface FitPlace {
  readonly pointer: number;
  readonly table: number;
  readonly entries: readonly { readonly offset: number | undefined }[];
}

/** The table, all but what depends on blobs; bytes in hexadecimal. */
export type MaskedFit = {
  /** Without the number of entries and the checksum. */
  readonly header: string;
  readonly entries: readonly string[];
  /** Bytes that the table may take. */
  readonly room: number;
  /** What stands behind the entries, if that is not zeros. */
  readonly unused?: string;
};

/** Fields of an entry, which the header of the table is as well (Firmware Interface Table BIOS Specification, chapter 4). */
const ENTRY = 16;
const SIZE_AT = 8;
const SIZE_END = 11;
const CHECKSUM_AT = 15;
const POINTER = 0x40;
const POINTER_SIZE = 8;

/** Where the table is; undefined if the pointer does not lead to a sound one. */
export function findFit(image: Uint8Array): FitPlace | undefined {
  if (image.length < POINTER) return undefined;
  try {
    const fit = readFit(image);
    return fit && { pointer: image.length - POINTER, table: fit.offset, entries: fit.entries };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The bytes of a place in the image, with zeros where the pointer to a sound table stands. */
export function withoutFitPointer(
  image: Uint8Array,
  fit: FitPlace | undefined,
  offset: number,
  end: number,
): Uint8Array {
  const content = image.subarray(offset, end);
  if (fit === undefined || fit.pointer < offset || fit.pointer + POINTER_SIZE > end) return content;
  const at = fit.pointer - offset;
  return Uint8Array.from(content).fill(0, at, at + POINTER_SIZE);
}

/** The table without what depends on blobs: entries that point into one, how many entries there are, the checksum over all. */
export function maskedFit(content: Uint8Array, { entries }: FitPlace, isBlob: (offset: number) => boolean): MaskedFit {
  const room = slice(content, 0, content.length, 'the FIT');
  const unused = room.subarray((entries.length + 1) * ENTRY);
  return {
    header: room.toString('hex', 0, SIZE_AT) + room.toString('hex', SIZE_END, CHECKSUM_AT),
    entries: entries.flatMap(({ offset }, index) =>
      offset !== undefined && isBlob(offset) ? [] : [room.toString('hex', (index + 1) * ENTRY, (index + 2) * ENTRY)],
    ),
    room: room.length,
    ...(isFilledWith(unused, 0) ? {} : { unused: unused.toString('hex') }),
  };
}
