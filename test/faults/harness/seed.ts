import { randomInt } from 'node:crypto';
import { sha256 } from '../../../src/model/digest.ts';

/** Decides every random choice of this test file: VMBUILD_FAULT_SEED, or another one each time. */
export const SEED: number = wholeNumber('VMBUILD_FAULT_SEED') ?? randomInt(1_000_000);

/** Runs of each kind of random kill: VMBUILD_FAULT_RUNS, or as many as CI has time for. */
export function runsOr(inCi: number): number {
  return wholeNumber('VMBUILD_FAULT_RUNS') ?? inCi;
}

/** Random numbers that depend on the seed and the name of the scenario alone, not on what ran before. */
export class Random {
  #state: number;

  constructor(name: string) {
    this.#state = Number.parseInt(sha256(`${SEED} ${name}`).slice(0, 8), 16);
  }

  /** At least 0, less than 1 (Mulberry32: 32 bits of state are plenty here). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('there is nothing to pick from');
    return list[this.between(0, list.length - 1)] as T;
  }
}

function wholeNumber(variable: string): number | undefined {
  const text = process.env[variable];
  if (text === undefined || text === '') return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${variable} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}
