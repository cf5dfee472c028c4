import { FormatError, slice } from './binary.ts';

/** The range decoder of LZMA (LZMA specification, "Range Decoder"), which reads bits whose probabilities it learns. */

const PROBABILITY_BITS = 11;
const MOVE_BITS = 5;
const RANGE_MIN = 1 << 24;

/** The probability of a bit of which nothing is known yet. */
export const EVEN = 1 << (PROBABILITY_BITS - 1);

/** Reads the bits of one run of the coder. A model is an array of probabilities, which decoding changes. */
export class RangeDecoder {
  readonly #input: Uint8Array;
  readonly #end: number;
  #at: number;
  #range = -1;
  #code: number;

  /**
   * Begins with the data from `from` to `to`.
   *
   * @throws FormatError if they are too short, or do not begin as such data do.
   */
  constructor(input: Uint8Array, from: number, to: number) {
    const first = slice(input, from, 5, 'the LZMA data');
    if (to < from + 5 || first[0] !== 0) throw new FormatError('damaged LZMA data: they do not begin with 0');
    this.#input = input;
    this.#at = from + 5;
    this.#end = to;
    this.#code = first.readInt32BE(1);
  }

  /** True if the data are used up. */
  isAtEnd(): boolean {
    return this.#at === this.#end && this.#code === 0;
  }

  /** A number of `bits` bits, the highest first, by the models from `base` on. */
  tree(model: Uint16Array, base: number, bits: number): number {
    return this.climb(model, base, 1, 1 << bits) - (1 << bits);
  }

  /**
   * Reads bits behind those of `symbol`, by the models from `base` on, until it is `limit` or more. The same as `bit` again and again,
   * with its state in local variables: most of the time of unpacking is spent here.
   */
  climb(model: Uint16Array, base: number, symbol: number, limit: number): number {
    const input = this.#input;
    const end = this.#end;
    let at = this.#at;
    let range = this.#range;
    let code = this.#code;
    let read = symbol;
    while (read < limit) {
      const index = base + read;
      const probability = model[index] as number;
      const bound = Math.imul(range >>> PROBABILITY_BITS, probability);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        model[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
        read <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        model[index] = probability - (probability >> MOVE_BITS);
        read = (read << 1) | 1;
      }
      if (range >>> 0 < RANGE_MIN) {
        if (at >= end) throw new FormatError('the LZMA data are cut off');
        range <<= 8;
        code = (code << 8) | (input[at++] as number);
      }
    }
    this.#at = at;
    this.#range = range;
    this.#code = code;
    return read;
  }

  /** A number of `bits` bits, the lowest first, by the models from `base` on. */
  reverseTree(model: Uint16Array, base: number, bits: number): number {
    let node = 1;
    let symbol = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(model, base + node);
      node = (node << 1) | bit;
      symbol |= bit << i;
    }
    return symbol;
  }

  /** Bits that all are equally likely. */
  direct(bits: number): number {
    const input = this.#input;
    const end = this.#end;
    let at = this.#at;
    let range = this.#range;
    let code = this.#code;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      range >>>= 1;
      value <<= 1;
      if (code >>> 0 >= range) {
        code = (code - range) | 0;
        value |= 1;
      }
      if (range < RANGE_MIN) {
        if (at >= end) throw new FormatError('the LZMA data are cut off');
        range <<= 8;
        code = (code << 8) | (input[at++] as number);
      }
    }
    this.#at = at;
    this.#range = range;
    this.#code = code;
    return value;
  }

  /** One bit by the probability at `index`, which learns from it. `range` and `code` are unsigned numbers in 32 bits. */
  bit(model: Uint16Array, index: number): number {
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
