import { expect } from 'vitest';
import { STEPS, TARGET } from './project.ts';
import { artifactOf, type Ended, errorCodeOf, eventsOf, executedIn } from './run.ts';
import { leaksOf } from './leaks.ts';
import { problemsIn } from './oracle.ts';
import type { RealizeOptions, World } from './world.ts';

/** What an undisturbed run gave: target → digest of its artifact. */
export type Reference = Readonly<Record<string, string>>;

/** The digest of every step that a run finished. */
export function digestsOf({ stdout }: Ended): Reference {
  return Object.fromEntries(
    eventsOf(stdout).flatMap((event) => (event.type === 'step-finished' ? [[event.target, event.artifact]] : [])),
  );
}

/**
 * Realises the target undisturbed, and expects the digests of the reference, a store in which nothing is wrong, that a
 * further run has nothing to do, and that nothing is left of all the runs. Returns the steps that had to be executed.
 */
export async function expectRecovery(
  world: World,
  reference: Reference,
  options: Pick<RealizeOptions, 'executor' | 'env'> = {},
): Promise<readonly string[]> {
  const again = await world.realize(options);
  expect(again, again.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(digestsOf(again)).toEqual(reference);
  expect(artifactOf(again, TARGET)).toBe(reference[TARGET]);
  const idle = await world.realize(options);
  expect(idle, idle.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(executedIn(idle.stdout)).toEqual([]);
  await expectClean(world);
  return executedIn(again.stdout);
}

/** Expects that nothing is wrong in the store of a world, by two judges, and nothing is left outside of it. */
async function expectClean(world: World): Promise<void> {
  expect(problemsIn(world.seen(world.store))).toEqual([]);
  const check = await world.run(['store', 'check']);
  expect(check, check.stdout).toMatchObject({ code: 0, stderr: '' });
  // Others may look through the machine's files at this moment; what is left of ours stays.
  await expect.poll(() => leaksOf(world), { timeout: 5000 }).toEqual([]);
}

/** Expects that a run which was disturbed gave nothing but what the reference says. */
export function expectNothingWrong(ended: Ended, reference: Reference): void {
  for (const [target, digest] of Object.entries(digestsOf(ended))) {
    expect(STEPS).toContain(target);
    expect(digest, target).toBe(reference[target]);
  }
}

/** Expects that a failure is one that vmbuild knows, and says what to do about. */
export function expectForeseen(ended: Ended): void {
  const code = errorCodeOf(ended);
  expect(code, ended.stderr).toBeDefined();
  expect(code, ended.stderr).not.toBe('INTERNAL');
  expect(ended.stderr).toMatch(/^ {2}next: /m);
}
