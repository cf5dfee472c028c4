/**
 * Undoes the x86 filter of xz ("BCJ"; .xz file format 1.2.1, section 5.3.2) in place. The encoder replaced the relative targets
 * of calls and jumps by absolute ones, which repeat more often. An opcode counts only if its target's upper byte is all
 * zeros or all ones, and if no other opcode in the three bytes before casts doubt on it.
 */
export function undoX86Filter(bytes: Uint8Array): void {
  /** For the bytes before this one, newest in bit 0: those that looked like an opcode and were not taken for one. */
  let doubts = 0;
  let last = -1;
  const end = bytes.length - 4;
  for (let at = 0; at < end; at++) {
    const opcode = bytes[at] as number;
    if (opcode !== 0xe8 && opcode !== 0xe9) continue;
    const distance = at - last;
    last = at;
    doubts = distance > 3 ? 0 : (doubts << (distance - 1)) & 7;
    if (doubts !== 0) {
      const doubtful = bytes[at + 4 - (OLDEST[doubts] as number)] as number;
      if (CLEAR[doubts] !== true || isExtension(doubtful)) {
        doubts = (doubts << 1) | 1;
        continue;
      }
    }
    if (!isExtension(bytes[at + 4] as number)) {
      doubts = (doubts << 1) | 1;
      continue;
    }
    writeTarget(bytes, at + 1, relative(readTarget(bytes, at + 1), at + 5, doubts));
    at += 4;
  }
}

/** By `doubts`: how many bytes back the oldest lies, and whether they leave the target readable. */
const OLDEST: readonly number[] = [0, 1, 2, 2, 3, 3, 3, 3];
const CLEAR: readonly boolean[] = [true, true, true, false, true, false, false, false];

function isExtension(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}

function relative(target: number, next: number, doubts: number): number {
  let source = target;
  for (;;) {
    const result = (source - next) | 0;
    if (doubts === 0) return signed(result);
    const bits = 8 * (OLDEST[doubts] as number);
    if (!isExtension((result >>> (24 - bits)) & 0xff)) return signed(result);
    source = result ^ (2 ** (32 - bits) - 1);
  }
}

/** Targets have 25 bits with their sign. */
function signed(value: number): number {
  return (value << 7) >> 7;
}

function readTarget(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function writeTarget(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = value >>> (8 * i);
}
