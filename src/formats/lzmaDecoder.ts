import { FormatError } from './binary.ts';
import { EVEN, RangeDecoder } from './rangeDecoder.ts';
import type { Unpacked } from './unpacked.ts';

/**
 * Decoder for LZMA: LZMA specification (I. Pavlov, 2015-06-14), which has the names used here. What is unpacked is the
 * dictionary at the same time, so distances may reach back to its beginning.
 */

const STATES = 12;
const MIN_MATCH = 2;
/** Distances from slot 4 on have bits of their own; from 14 on some of them are not modelled. */
const FIRST_SLOT_WITH_BITS = 4;
const FIRST_SLOT_WITH_DIRECT_BITS = 14;
const ALIGN_BITS = 4;
const LENGTH_STATES = 4;
/** A distance that marks the end. */
const END_MARKER = 0xffffffff;

/** Where the parts of a length's model begin: two choices, low and middle for each of 16 position states, high. */
const LOW = 2;
const MIDDLE = LOW + (16 << 3);
const HIGH = MIDDLE + (16 << 3);
const LENGTH_MODEL = HIGH + 256;

/** One LZMA stream, or the stream of chunks that LZMA2 makes of it. */
export class LzmaDecoder {
  readonly #output: Unpacked;
  /** Without data, until `start` gives it some. */
  #range = new RangeDecoder(new Uint8Array(5), 0, 5);

  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;

  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Nothing before this may be copied. */
  #dictionaryStart = 0;

  #literals = new Uint16Array();
  readonly #isMatch = new Uint16Array(STATES << 4);
  readonly #isRep = new Uint16Array(STATES);
  readonly #isRepG0 = new Uint16Array(STATES);
  readonly #isRepG1 = new Uint16Array(STATES);
  readonly #isRepG2 = new Uint16Array(STATES);
  readonly #isRep0Long = new Uint16Array(STATES << 4);
  readonly #distanceSlots = new Uint16Array(LENGTH_STATES << 6);
  readonly #distances = new Uint16Array(128);
  readonly #align = new Uint16Array(1 << ALIGN_BITS);
  readonly #matchLength = new Uint16Array(LENGTH_MODEL);
  readonly #repLength = new Uint16Array(LENGTH_MODEL);

  constructor(output: Unpacked) {
    this.#output = output;
  }

  /** Properties in one byte, (pb * 5 + lp) * 9 + lc; resets the state. */
  setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) throw new FormatError(`LZMA data with impossible properties: ${byte}`);
    this.#literalContextBits = byte % 9;
    const rest = Math.floor(byte / 9);
    this.#literalPositionMask = (1 << (rest % 5)) - 1;
    this.#positionMask = (1 << Math.floor(rest / 5)) - 1;
    this.#literals = new Uint16Array(0x300 << (this.#literalContextBits + (rest % 5)));
    this.resetState();
  }

  resetState(): void {
    this.#state = this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
    for (const model of [
      this.#literals,
      this.#isMatch,
      this.#isRep,
      this.#isRepG0,
      this.#isRepG1,
      this.#isRepG2,
      this.#isRep0Long,
      this.#distanceSlots,
      this.#distances,
      this.#align,
      this.#matchLength,
      this.#repLength,
    ]) {
      model.fill(EVEN);
    }
  }

  /** What was unpacked before is not referred to any more. */
  resetDictionary(): void {
    this.#dictionaryStart = this.#output.length;
  }

  /** Begins with the range coder's data from `from` to `to`. */
  start(input: Uint8Array, from: number, to: number): void {
    this.#range = new RangeDecoder(input, from, to);
  }

  /** True if the data given to `start` are used up, as they are at the end of an LZMA2 chunk. */
  isAtEnd(): boolean {
    return this.#range.isAtEnd();
  }

  /** Unpacks until the output has `target` bytes, or to the end marker; true for the latter. */
  decode(target: number): boolean {
    const output = this.#output;
    while (output.length < target) {
      const positionState = output.length & this.#positionMask;
      if (this.#range.bit(this.#isMatch, (this.#state << 4) + positionState) === 0) {
        this.#literal();
        continue;
      }
      let length: number;
      if (this.#range.bit(this.#isRep, this.#state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(this.#matchLength, positionState);
        this.#state = this.#state < 7 ? 7 : 10;
        this.#rep0 = this.#distance(length);
        if (this.#rep0 === END_MARKER) return true;
      } else {
        if (this.#range.bit(this.#isRepG0, this.#state) === 0) {
          if (this.#range.bit(this.#isRep0Long, (this.#state << 4) + positionState) === 0) {
            this.#state = this.#state < 7 ? 9 : 11;
            this.#copy(1, target);
            continue;
          }
        } else {
          this.#rotateReps();
        }
        length = this.#length(this.#repLength, positionState);
        this.#state = this.#state < 7 ? 8 : 11;
      }
      this.#copy(length + MIN_MATCH, target);
    }
    return false;
  }

  /** Takes one of the older distances to the front. */
  #rotateReps(): void {
    let distance: number;
    if (this.#range.bit(this.#isRepG1, this.#state) === 0) {
      distance = this.#rep1;
    } else {
      if (this.#range.bit(this.#isRepG2, this.#state) === 0) {
        distance = this.#rep2;
      } else {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #literal(): void {
    const output = this.#output;
    const at = output.length;
    output.reserve(1);
    const bytes = output.bytes;
    const before = at > this.#dictionaryStart ? (bytes[at - 1] as number) : 0;
    const context =
      ((at & this.#literalPositionMask) << this.#literalContextBits) + (before >> (8 - this.#literalContextBits));
    const model = this.#literals;
    const base = 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      // After a match, the byte that the match would have gone on with is a hint, until the first bit that differs.
      const source = at - this.#rep0 - 1;
      if (source < this.#dictionaryStart) throw new FormatError('damaged LZMA data: a distance is too large');
      let hint = bytes[source] as number;
      do {
        const hinted = (hint >> 7) & 1;
        hint <<= 1;
        const bit = this.#range.bit(model, base + ((1 + hinted) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (hinted !== bit) break;
      } while (symbol < 0x100);
    }
    bytes[at] = this.#range.climb(model, base, symbol, 0x100);
    output.length = at + 1;
    this.#state = this.#state < 4 ? 0 : this.#state - (this.#state < 10 ? 3 : 6);
  }

  #copy(wanted: number, target: number): void {
    const output = this.#output;
    const count = Math.min(wanted, target - output.length);
    let to = output.length;
    let from = to - this.#rep0 - 1;
    if (from < this.#dictionaryStart) throw new FormatError('damaged LZMA data: a distance is too large');
    output.reserve(count);
    const bytes = output.bytes;
    const end = to + count;
    while (to < end) bytes[to++] = bytes[from++] as number;
    output.length = end;
    if (count < wanted) throw new FormatError('damaged LZMA data: they unpack to more than they should');
  }

  #length(model: Uint16Array, positionState: number): number {
    if (this.#range.bit(model, 0) === 0) return this.#range.tree(model, LOW + (positionState << 3), 3);
    if (this.#range.bit(model, 1) === 0) return 8 + this.#range.tree(model, MIDDLE + (positionState << 3), 3);
    return 16 + this.#range.tree(model, HIGH, 8);
  }

  #distance(length: number): number {
    const slot = this.#range.tree(this.#distanceSlots, Math.min(length, LENGTH_STATES - 1) << 6, 6);
    if (slot < FIRST_SLOT_WITH_BITS) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) << bits;
    if (slot < FIRST_SLOT_WITH_DIRECT_BITS) return base + this.#range.reverseTree(this.#distances, base - slot, bits);
    const direct = this.#range.direct(bits - ALIGN_BITS) << ALIGN_BITS;
    return (base + direct + this.#range.reverseTree(this.#align, 0, ALIGN_BITS)) >>> 0;
  }
}
