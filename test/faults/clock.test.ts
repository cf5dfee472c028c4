import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { useBase } from './harness/base.ts';
import { FAKETIME, lacksFaketime, lacksNamespaces } from './harness/machine.ts';
import { STEPS } from './harness/project.ts';
import { executedIn } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { digestsOf, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();

/** What makes the clock of a process show another time (faketime(1)); the clock that cannot be set goes on as it does. */
function otherClock(time: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { LD_PRELOAD: FAKETIME ?? '', FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1', ...time };
}

family('a clock', () => {
  for (const [where, from, to] of [
    ['the past', 1971, 2000],
    ['the future', 2039, 2400],
  ] as const) {
    scenario(`far in ${where}`, lacksNamespaces ?? lacksFaketime, async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const env = otherClock({ FAKETIME: `@${random.between(from, to)}-0${random.between(1, 9)}-01 00:00:00` });
      tell(env['FAKETIME'] ?? '');
      const ended = await world.realize({ env });
      expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
      expect(digestsOf(ended)).toEqual(reference);
      expect(await expectRecovery(world, reference)).toEqual([]);
      // Neither of two clocks that disagree makes a collection take what is kept.
      for (const options of [{}, { env }]) {
        const collected = await world.run(['gc', '--older-than', '1d', '--max-size', '1KiB'], options);
        expect(collected, collected.stderr).toMatchObject({ code: 0 });
        expect(executedIn((await world.realize({ args: ['--offline'], ...options })).stdout)).toEqual([]);
      }
      expect(await expectRecovery(world, reference)).toEqual([]);
    });
  }

  for (let run = 1; run <= Math.ceil(runsOr(2) / 2); run += 1) {
    for (const [how, years] of [
      ['back', '-20y'],
      ['forward', '+70y'],
    ] as const) {
      scenario(`that is set ${how} in mid-run, run ${run}`, lacksNamespaces ?? lacksFaketime, async (random, tell) => {
        const { project, reference } = base();
        const world = await World.create(project);
        const file = join(world.folder, 'clock');
        writeFileSync(file, '+0');
        const env = otherClock({ FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1' });
        const running = world.startRealize({ env });
        const after = random.between(0, STEPS.length - 1);
        running.child.stdout?.on('data', () => {
          if (executedIn(running.output()).length > after) writeFileSync(file, years);
        });
        tell(`when step ${after + 1} had started`);
        const ended = await running.ended;
        expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
        expect(digestsOf(ended)).toEqual(reference);
        expect(ended.stdout).not.toMatch(/"durationMs":-/);
        expect(await expectRecovery(world, reference)).toEqual([]);
      });
    }
  }
});
