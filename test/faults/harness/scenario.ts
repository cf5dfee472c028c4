import { relative } from 'node:path';
import { describe, expect, it, onTestFailed } from 'vitest';
import { REPOSITORY } from '../../support/fixture.ts';
import type { Lack } from './machine.ts';
import { Random, SEED } from './seed.ts';

/** A scenario tells with it what it did, in a few words: which moment, which file. */
export type Tell = (what: string) => void;

/**
 * Declares a test that is disturbed at random: its choices depend on the seed and its title alone. What it did is printed
 * with the seed, and after a failure the command that does the same again. It is skipped by name if the machine lacks
 * something.
 */
export function scenario(title: string, lack: Lack, run: (random: Random, tell: Tell) => Promise<void>): void {
  it.skipIf(lack !== undefined)(lack === undefined ? title : `${title} (skipped: ${lack})`, async () => {
    const told: string[] = [];
    onTestFailed(() => say(`FAILED ${title}: ${told.join('; ')}\n  again: ${replayCommand(title)}`));
    await run(new Random(title), (what) => told.push(what));
    say(`${title}: ${told.join('; ')} (seed ${SEED})`);
  });
}

/** A group of scenarios. */
export function family(title: string, declare: () => void): void {
  describe(title, declare);
}

function replayCommand(title: string): string {
  const file = relative(REPOSITORY, expect.getState().testPath ?? 'test/faults');
  const runs = process.env['VMBUILD_FAULT_RUNS'];
  const variables = [`VMBUILD_FAULT_SEED=${SEED}`, ...(runs === undefined ? [] : [`VMBUILD_FAULT_RUNS=${runs}`])];
  const pattern = `${title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
  return `${variables.join(' ')} npx vitest run ${file} -t '${pattern}'`;
}

/** Prints a line, whatever reporter is used. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
