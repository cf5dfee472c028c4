import { FormatError } from './binary.ts';

/** Unpacked bytes that grow up to a limit. */
export class Unpacked {
  readonly limit: number;
  length = 0;
  bytes: Uint8Array;

  /** `expected` is how many bytes there will be, if that is known. */
  constructor(limit: number, expected?: number) {
    this.limit = limit;
    this.bytes = new Uint8Array(Math.min(limit, expected ?? 1 << 20));
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw new FormatError(`unpacked there would be more than ${this.limit} bytes`);
    const larger = new Uint8Array(Math.min(this.limit, Math.max(needed, 2 * this.bytes.length)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What was unpacked so far. */
  content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
