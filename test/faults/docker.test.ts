import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { until } from '../support/processes.ts';
import { useBase } from './harness/base.ts';
import { OwnDaemon } from './harness/daemon.ts';
import { dockerLeaks, forgetContents } from './harness/dockerLeaks.ts';
import { lacksDocker, lacksOwnDocker } from './harness/machine.ts';
import { errorCodeOf, executedIn } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { digestsOf, expectForeseen, expectNothingWrong, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase({ executor: 'docker', lack: lacksDocker });

family('kill -9, with docker', () => {
  let durationMs = 0;
  beforeAll(async () => {
    if (lacksDocker !== undefined) return;
    ({ durationMs } = await base().worldOfFile('measured').realize({ executor: 'docker' }));
  });
  afterAll(() => {
    if (lacksDocker !== undefined) return;
    const { fullStore, project } = base();
    const contents = ['artifacts', 'sources'].flatMap((folder) => readdirSync(join(fullStore, folder)));
    forgetContents(contents, project.image);
  });

  for (let run = 1; run <= runsOr(4); run += 1) {
    scenario(`at a random moment, run ${run}`, lacksDocker, async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const moment = random.between(1, Math.ceil(durationMs));
      const running = world.startRealize({ executor: 'docker' });
      await sleep(moment);
      running.child.kill('SIGKILL');
      const ended = await running.ended;
      tell(`after ${moment} of ${Math.round(durationMs)} ms, ${Object.keys(digestsOf(ended)).length} steps finished`);
      expectNothingWrong(ended, reference);
      const executed = await expectRecovery(world, reference, { executor: 'docker' });
      tell(`${executed.length} executed again`);
      // The killed one's containers go with the next vmbuild that uses the daemon.
      if (executed.length > 0) expect(dockerLeaks(world.pids, undefined)).toEqual([]);
    });
  }
});

family('a docker daemon', () => {
  for (let run = 1; run <= Math.ceil(runsOr(2) / 10); run += 1) {
    for (const how of ['stop', 'kill'] as const) {
      const title = how === 'stop' ? 'that is restarted in mid-build' : 'that is killed in mid-build';
      scenario(`${title}, run ${run}`, lacksOwnDocker ?? lacksDocker, async (random, tell) => {
        const { project, reference } = base();
        const daemon = await OwnDaemon.start();
        onTestFinished(() => daemon.remove());
        const world = await World.create(project);
        const env = { DOCKER_HOST: daemon.host };
        const running = world.startRealize({ executor: 'docker', env });
        const steps = random.between(1, 4);
        let over = false;
        void running.ended.then(() => (over = true));
        await until(`step ${steps} has started`, () => over || executedIn(running.output()).length >= steps);
        await sleep(random.between(0, 400));
        await daemon[how]();
        const ended = await running.ended;
        tell(`after the start of step ${steps}: ${ended.code === 0 ? 'done' : errorCodeOf(ended)}`);
        expectNothingWrong(ended, reference);
        if (ended.code !== 0) {
          expectForeseen(ended);
          expect(['EXECUTOR_FAILED', 'EXECUTOR_UNAVAILABLE']).toContain(errorCodeOf(ended));
        }
        if (how === 'kill') await daemon.stop();
        await daemon.start();
        const executed = await expectRecovery(world, reference, { executor: 'docker', env });
        tell(`${executed.length} executed again`);
        if (executed.length > 0) expect(dockerLeaks(world.pids, daemon.host)).toEqual([]);
      });
    }
  }
});
