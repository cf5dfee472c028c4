/** Something that is not in the format it is read as: cut off, damaged or hostile. The message says where and why. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/**
 * A part of `bytes`, which it shares.
 *
 * @throws FormatError if it is not inside; `what` is named in the message.
 */
export function slice(bytes: Uint8Array, offset: number, length: number, what: string): Buffer {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new FormatError(`${what} has an impossible place: ${length} bytes at ${offset}`);
  }
  if (offset + length > bytes.length) {
    throw new FormatError(
      `${what} is cut off: it ends at byte ${hex(offset + length)} of something that has ${hex(bytes.length)}`,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, length);
}

/** `0x1600000`: how sizes and places in flash are written everywhere. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** The sum of all bytes, modulo 256. */
export function sum8(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) & 0xff;
  return sum;
}

/** The least multiple of `unit` that is not below `value`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** True if every byte is `value`. */
export function isFilledWith(bytes: Uint8Array, value: number): boolean {
  if (bytes.length === 0) return true;
  // Each byte is like the one before it: a comparison of memory, which takes a hundredth of the time of a loop.
  const all = slice(bytes, 0, bytes.length, 'the content');
  return all[0] === value && all.subarray(1).equals(all.subarray(0, -1));
}

/** True if nothing is stored there: flash that is erased (all ones), or filled with zeros. */
export function isBlank(bytes: Uint8Array): boolean {
  return isFilledWith(bytes, 0xff) || isFilledWith(bytes, 0);
}

/**
 * An EFI_GUID as text, lower case: three little-endian numbers, then eight bytes (UEFI specification 2.10, appendix A).
 *
 * @throws FormatError if it is cut off.
 */
export function readGuid(bytes: Uint8Array, offset: number): string {
  const raw = slice(bytes, offset, 16, 'a GUID');
  const number = (at: number, length: number) =>
    raw
      .readUIntLE(at, length)
      .toString(16)
      .padStart(2 * length, '0');
  const tail = raw.toString('hex', 8);
  return `${number(0, 4)}-${number(4, 2)}-${number(6, 2)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
