import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll } from 'vitest';
import { useBase } from './harness/base.ts';
import { CallPoints, shortened, TRACEABLE } from './harness/callPoints.ts';
import { lacksNamespaces, lacksStrace } from './harness/machine.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { CHANGING_CALLS, injecting, lastCallIn } from './harness/strace.ts';
import { digestsOf, expectNothingWrong, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();

family('kill -9', () => {
  let durationMs = 0;
  let points: CallPoints;
  beforeAll(async () => {
    if (lacksNamespaces !== undefined) return;
    // Not the first run of this file, which compiled everything.
    ({ durationMs } = await base().worldOfFile('measured').realize());
    if (lacksStrace === undefined) points = await CallPoints.of(base(), CHANGING_CALLS);
  });

  for (let run = 1; run <= runsOr(8); run += 1) {
    scenario(`at a random moment, run ${run}`, lacksNamespaces, async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const moment = random.between(1, Math.ceil(durationMs));
      const running = world.startRealize();
      await sleep(moment);
      running.child.kill('SIGKILL');
      const ended = await running.ended;
      tell(`after ${moment} of ${Math.round(durationMs)} ms, ${Object.keys(digestsOf(ended)).length} steps finished`);
      expectNothingWrong(ended, reference);
      const executed = await expectRecovery(world, reference);
      tell(`${executed.length} executed again`);
    });
  }

  for (let run = 1; run <= runsOr(12); run += 1) {
    scenario(`at a system call, run ${run}`, lacksNamespaces ?? lacksStrace, async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const point = points.pick(random);
      const log = join(world.folder, 'strace.log');
      const ended = await world.realize({ ...TRACEABLE, prefix: injecting(point, 'signal=SIGKILL', log) });
      const where = ended.signal === 'SIGKILL' ? shortened(lastCallIn(log), world) : 'not reached';
      tell(`before ${point.call} number ${point.nth}: ${where}`);
      expectNothingWrong(ended, reference);
      const executed = await expectRecovery(world, reference);
      tell(`${executed.length} executed again`);
    });
  }
});
