import { FormatError, slice } from './binary.ts';

/**
 * Decoder for LZMA: LZMA specification (I. Pavlov, 2015-06-14), which has the names used here. What is unpacked is the
 * dictionary at the same time, so distances may reach back to its beginning.
 */

/** Bytes of the header of an .lzma file: properties, dictionary size, unpacked size. */
const HEADER = 13;
const UNKNOWN_SIZE = 2n ** 64n - 1n;

const PROBABILITY_BITS = 11;
const HALF = 1 << (PROBABILITY_BITS - 1);
const MOVE_BITS = 5;
const RANGE_MIN = 1 << 24;
const STATES = 12;
const MIN_MATCH = 2;
/** Distances from slot 4 on have bits of their own; from 14 on some of them are not modelled. */
const FIRST_SLOT_WITH_BITS = 4;
const FIRST_SLOT_WITH_DIRECT_BITS = 14;
const ALIGN_BITS = 4;
const LENGTH_STATES = 4;
/** A distance that marks the end. */
const END_MARKER = 0xffffffff;

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

/**
 * Unpacks an .lzma file, the form that coreboot and EDK II use too.
 *
 * @param limit The most bytes that it may unpack to.
 * @throws FormatError if it is damaged or cut off, or larger than the limit.
 */
export function unpackLzma(bytes: Uint8Array, limit: number): Uint8Array {
  const header = slice(bytes, 0, HEADER, 'the header of the LZMA data');
  const size = header.readBigUInt64LE(5);
  const known = size === UNKNOWN_SIZE ? undefined : Number(size);
  if (known !== undefined && known > limit) throw new FormatError(`unpacked there would be ${known} bytes`);
  const output = new Unpacked(limit, known);
  const decoder = new LzmaDecoder(output);
  decoder.setProperties(header.readUInt8(0));
  decoder.start(bytes, HEADER, bytes.length);
  const ended = decoder.decode(known ?? limit);
  if (known === undefined ? !ended : output.length !== known) {
    throw new FormatError('the LZMA data end before everything is unpacked');
  }
  return output.content();
}

/** One LZMA stream, or the stream of chunks that LZMA2 makes of it. */
export class LzmaDecoder {
  readonly #output: Unpacked;
  #input: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;

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
      model.fill(HALF);
    }
  }

  /** What was unpacked before is not referred to any more. */
  resetDictionary(): void {
    this.#dictionaryStart = this.#output.length;
  }

  /** Begins with the range coder's data from `from` to `to`. */
  start(input: Uint8Array, from: number, to: number): void {
    const first = slice(input, from, 5, 'the LZMA data');
    if (to < from + 5 || first[0] !== 0) throw new FormatError('damaged LZMA data: they do not begin with 0');
    this.#input = input;
    this.#at = from + 5;
    this.#end = to;
    this.#range = -1;
    this.#code = first.readInt32BE(1);
  }

  /** True if the data given to `start` are used up, as they are at the end of an LZMA2 chunk. */
  isAtEnd(): boolean {
    return this.#at === this.#end && this.#code === 0;
  }

  /** Unpacks until the output has `target` bytes, or to the end marker; true for the latter. */
  decode(target: number): boolean {
    const output = this.#output;
    while (output.length < target) {
      const positionState = output.length & this.#positionMask;
      if (this.#bit(this.#isMatch, (this.#state << 4) + positionState) === 0) {
        this.#literal();
        continue;
      }
      let length: number;
      if (this.#bit(this.#isRep, this.#state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(this.#matchLength, positionState);
        this.#state = this.#state < 7 ? 7 : 10;
        this.#rep0 = this.#distance(length);
        if (this.#rep0 === END_MARKER) return true;
      } else {
        if (this.#bit(this.#isRepG0, this.#state) === 0) {
          if (this.#bit(this.#isRep0Long, (this.#state << 4) + positionState) === 0) {
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
    if (this.#bit(this.#isRepG1, this.#state) === 0) {
      distance = this.#rep1;
    } else {
      if (this.#bit(this.#isRepG2, this.#state) === 0) {
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
        const bit = this.#bit(model, base + ((1 + hinted) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (hinted !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(model, base + symbol);
    bytes[at] = symbol;
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
    if (this.#bit(model, 0) === 0) return this.#tree(model, LOW + (positionState << 3), 3);
    if (this.#bit(model, 1) === 0) return 8 + this.#tree(model, MIDDLE + (positionState << 3), 3);
    return 16 + this.#tree(model, HIGH, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(this.#distanceSlots, Math.min(length, LENGTH_STATES - 1) << 6, 6);
    if (slot < FIRST_SLOT_WITH_BITS) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) << bits;
    if (slot < FIRST_SLOT_WITH_DIRECT_BITS) return base + this.#reverseTree(this.#distances, base - slot, bits);
    const direct = this.#direct(bits - ALIGN_BITS) << ALIGN_BITS;
    return (base + direct + this.#reverseTree(this.#align, 0, ALIGN_BITS)) >>> 0;
  }

  #tree(model: Uint16Array, base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(model, base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(model: Uint16Array, base: number, bits: number): number {
    let node = 1;
    let symbol = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(model, base + node);
      node = (node << 1) | bit;
      symbol |= bit << i;
    }
    return symbol;
  }

  /** Bits that all are equally likely. */
  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#range >>>= 1;
      const bit = this.#code >>> 0 >= this.#range ? 1 : 0;
      if (bit === 1) this.#code = (this.#code - this.#range) | 0;
      this.#normalise();
      value = (value << 1) | bit;
    }
    return value;
  }

  /** One bit by the probability at `index`, which learns from it. `range` and `code` are unsigned numbers in 32 bits. */
  #bit(model: Uint16Array, index: number): number {
    const probability = model[index] as number;
    const bound = Math.imul(this.#range >>> PROBABILITY_BITS, probability);
    if (this.#code >>> 0 < bound >>> 0) {
      this.#range = bound;
      model[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
      this.#normalise();
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    model[index] = probability - (probability >> MOVE_BITS);
    this.#normalise();
    return 1;
  }

  #normalise(): void {
    if (this.#range >>> 0 >= RANGE_MIN) return;
    if (this.#at >= this.#end) throw new FormatError('the LZMA data are cut off');
    this.#range <<= 8;
    this.#code = (this.#code << 8) | (this.#input[this.#at++] as number);
  }
}

/** Where the parts of a length's model begin: two choices, low and middle for each of 16 position states, high. */
const LOW = 2;
const MIDDLE = LOW + (16 << 3);
const HIGH = MIDDLE + (16 << 3);
const LENGTH_MODEL = HIGH + 256;
