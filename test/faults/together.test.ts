import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { useBase } from './harness/base.ts';
import { lacksNamespaces } from './harness/machine.ts';
import { STEPS, TARGET } from './harness/project.ts';
import { errorCodeOf, executedIn } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { digestsOf, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();

const PROCESSES = 30;

family('many processes', () => {
  scenario(`${PROCESSES} that realise one target at once do the work once`, lacksNamespaces, async () => {
    const { project, reference } = base();
    const world = await World.create(project);
    const all = await Promise.all(Array.from({ length: PROCESSES }, () => world.realize()));
    for (const ended of all) {
      expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
      expect(digestsOf(ended)).toEqual(reference);
    }
    expect(all.flatMap(({ stdout }) => executedIn(stdout)).sort()).toEqual([...STEPS].sort());
    expect(await expectRecovery(world, reference)).toEqual([]);
  });

  scenario(
    `${PROCESSES} of which most are killed leave the rest undisturbed`,
    lacksNamespaces,
    async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const all = Array.from({ length: PROCESSES }, () => world.startRealize());
      const killed = all.slice(0, PROCESSES - 3).map(async ({ child }) => {
        await sleep(random.between(500, 8000));
        child.kill('SIGKILL');
      });
      await Promise.all(killed);
      const ended = await Promise.all(all.map((running) => running.ended));
      tell(`${ended.filter(({ signal }) => signal === 'SIGKILL').length} killed`);
      for (const rest of ended.slice(-3)) {
        expect(rest, rest.stderr).toMatchObject({ code: 0, stderr: '' });
        expect(digestsOf(rest)).toEqual(reference);
      }
      expect(await expectRecovery(world, reference)).toEqual([]);
    },
  );

  for (let run = 1; run <= Math.ceil(runsOr(1) / 10); run += 1) {
    scenario(
      `that build while others collect and check all the while, run ${run}`,
      lacksNamespaces,
      async (_, tell) => {
        const { project, reference } = base();
        const world = await World.create(project, base().fullStore);
        let done = false;
        const counts = { gc: 0, check: 0, built: 0 };
        const repeat = async (what: 'gc' | 'check', args: readonly string[]): Promise<void> => {
          while (!done) {
            const ended = await world.run(args);
            expect(ended, `${ended.stdout}${ended.stderr}`).toMatchObject({ code: 0, stderr: '' });
            counts[what] += 1;
          }
        };
        const build = async (): Promise<void> => {
          for (let round = 0; round < 3; round += 1) {
            // What it made last is garbage from here on, in the middle of what others make.
            const forgotten = await world.run(['root', 'rm', TARGET]);
            if (forgotten.code !== 0) expect(errorCodeOf(forgotten)).toBe('RECIPE_NOT_FOUND');
            const ended = await world.realize();
            expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
            expect(digestsOf(ended)).toEqual(reference);
            counts.built += executedIn(ended.stdout).length;
          }
        };
        const others = [
          repeat('gc', ['gc']),
          repeat('gc', ['gc', '--outputs-only']),
          repeat('check', ['store', 'check']),
        ];
        const failed = Promise.all(others);
        failed.catch(() => {});
        await Promise.race([Promise.all([build(), build(), build()]), failed]).finally(() => (done = true));
        await failed;
        tell(`${counts.gc} collections, ${counts.check} checks, ${counts.built} steps executed`);
        await expectRecovery(world, reference);
      },
    );
  }
});
