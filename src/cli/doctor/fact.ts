import { readFileSync } from 'node:fs';

/** Something about this machine that decides how well vmbuild works on it. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  /** What is wrong with it and what to do, a sentence or a command each; empty if nothing is. */
  readonly advice: readonly string[];
}

/** A fact; `advice` is what there is to do about it, if anything. */
export function fact(name: string, value: string, ...advice: readonly (string | undefined)[]): Fact {
  return { name, value, advice: advice.filter((text) => text !== undefined) };
}

/** A small file of the system without the space around its text; undefined if it is not there or may not be read. */
export function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
