import { expect, onTestFinished } from 'vitest';
import { useBase } from './harness/base.ts';
import { lacksMemoryGroups, lacksNamespaces } from './harness/machine.ts';
import { MemoryGroup } from './harness/memory.ts';
import { type Ended, errorCodeOf } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { expectForeseen, expectNothingWrong, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();
const MIB = 1024 * 1024;

/** Runs something with so much memory; nothing of it is left then, or the group could not be removed. */
async function within(mebibytes: number, run: (prefix: readonly string[]) => Promise<Ended>): Promise<Ended> {
  const group = MemoryGroup.make(mebibytes * MIB);
  if (group === undefined) throw new Error('there was a control group a moment ago');
  const ended = await run(group.enter);
  onTestFinished(() => void group.remove());
  return ended;
}

function outcome(ended: Ended): string {
  return ended.signal ?? (ended.code === 0 ? 'done' : (errorCodeOf(ended) ?? `exit code ${ended.code}`));
}

family('a machine without memory', () => {
  scenario(
    'kills the step that takes it all, and vmbuild says so',
    lacksNamespaces ?? lacksMemoryGroups,
    async (_, tell) => {
      const { project, reference } = base();
      const world = await World.create(project, base().fullStore);
      const ended = await within(500, (prefix) => world.realize({ prefix, targets: ['hungry'] }));
      tell(outcome(ended));
      expect(errorCodeOf(ended), ended.stderr).toBe('BUILD_FAILED');
      expect(ended.stderr).toMatch(/hungry was killed by SIGKILL/);
      expectForeseen(ended);
      expect(await expectRecovery(world, reference)).toEqual([]);
    },
  );

  for (let run = 1; run <= runsOr(3); run += 1) {
    scenario(`kills whatever is largest, run ${run}`, lacksNamespaces ?? lacksMemoryGroups, async (random, tell) => {
      const { project, reference } = base();
      const world = await World.create(project);
      const mebibytes = random.between(20, 160);
      const ended = await within(mebibytes, (prefix) => world.realize({ prefix }));
      tell(`${mebibytes} MiB: ${outcome(ended)}`);
      expectNothingWrong(ended, reference);
      await expectRecovery(world, reference);
    });
  }
});
