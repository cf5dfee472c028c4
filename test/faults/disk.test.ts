import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { useBase } from './harness/base.ts';
import { CallPoints, shortened, TRACEABLE } from './harness/callPoints.ts';
import { lacksMounts, lacksNamespaces, lacksStrace } from './harness/machine.ts';
import { TARGET } from './harness/project.ts';
import { type Ended, errorCodeOf } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { CHANGING_CALLS, failedIn, injecting, READING_CALLS } from './harness/strace.ts';
import { expectForeseen, expectNothingWrong, expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();

/** A little more than the whole project needs at any time, in KiB and in files. */
const ENOUGH = { size: 36_000, nr_inodes: 450 } as const;

family('a disk', () => {
  for (const limit of ['size', 'nr_inodes'] as const) {
    for (let run = 1; run <= runsOr(4); run += 1) {
      scenario(`that is full by its ${limit}, run ${run}`, lacksNamespaces ?? lacksMounts, async (random, tell) => {
        const { project, reference } = base();
        const world = await World.create(project);
        const mounts = await world.ownMounts();
        const amount = random.between(Math.ceil(ENOUGH[limit] / 50), ENOUGH[limit]);
        const option = `${limit}=${amount}${limit === 'size' ? 'k' : ''}`;
        mkdirSync(world.store);
        mounts.run('mount', '-t', 'tmpfs', '-o', option, 'faults', world.store);
        const ended = await world.realize();
        tell(`${option}: ${outcome(ended)}`);
        expectNothingWrong(ended, reference);
        if (ended.code !== 0) {
          expectForeseen(ended);
          expect(`${errorCodeOf(ended)} ${ended.stderr}`).toMatch(/^DISK_FULL |No space left on device/);
        }
        mounts.run('mount', '-o', `remount,size=${ENOUGH.size * 4}k,nr_inodes=${ENOUGH.nr_inodes * 4}`, world.store);
        tell(`${(await expectRecovery(world, reference)).length} executed again`);
      });
    }
  }

  scenario('that is read-only', lacksNamespaces ?? lacksMounts, async (_random, tell) => {
    const { project, reference, fullStore } = base();
    const world = await World.create(project, fullStore);
    const mounts = await world.ownMounts();
    const remount = (how: 'ro' | 'rw'): string => mounts.run('mount', '-o', `remount,bind,${how}`, world.store);
    mounts.run('mount', '--bind', world.store, world.store);
    remount('ro');
    for (const command of ['ls', `show ${TARGET}`, `log ${TARGET}`, 'store check', `realize ${TARGET} --dry-run`]) {
      const looked = await world.run(command.split(' '));
      expect(looked, `${command}: ${looked.stderr}`).toMatchObject({ code: 0, stderr: '' });
    }
    const ended = await world.realize({ args: ['--rebuild'] });
    tell(`a rebuild: ${outcome(ended)}`);
    expect(errorCodeOf(ended)).toBe('STORE_UNUSABLE');
    expectForeseen(ended);
    remount('rw');
    expect(await expectRecovery(world, reference)).toEqual([]);
  });
});

family('a system call that fails', () => {
  let changing: CallPoints;
  let reading: CallPoints;
  beforeAll(async () => {
    if ((lacksNamespaces ?? lacksStrace) !== undefined) return;
    changing = await CallPoints.of(base(), CHANGING_CALLS);
    reading = await CallPoints.of(base(), READING_CALLS);
  });

  for (const kind of ['changing', 'reading'] as const) {
    for (let run = 1; run <= runsOr(5); run += 1) {
      scenario(`while ${kind} something, run ${run}`, lacksNamespaces ?? lacksStrace, async (random, tell) => {
        const { project, reference } = base();
        const world = await World.create(project);
        const point = (kind === 'changing' ? changing : reading).pick(random);
        const error = kind === 'changing' ? random.pick(['EIO', 'ENOSPC', 'EDQUOT', 'EROFS']) : 'EIO';
        const log = join(world.folder, 'strace.log');
        const ended = await world.realize({ ...TRACEABLE, prefix: injecting(point, `error=${error}`, log) });
        const hits = failedIn(log);
        const hit = hits[0] === undefined ? 'not reached' : shortened(hits[0], world);
        tell(`${error} at ${point.call} number ${point.nth}: ${hit}: ${outcome(ended)}`);
        expectNothingWrong(ended, reference);
        // What Node itself reads of its modules fails before there is anybody to explain it.
        // (strace also writes the working folder, which is the world's, beside a path that is relative to nothing.)
        const target = (line: string): string => line.replace(/AT_FDCWD<[^>]*>/, '');
        if (ended.code !== 0 && hits.every((line) => target(line).includes(world.folder))) expectForeseen(ended);
        if (hits.some((line) => line.includes('fsync('))) expect(ended.code).not.toBe(0);
        tell(`${(await expectRecovery(world, reference)).length} executed again`);
      });
    }
  }
});

function outcome(ended: Ended): string {
  return ended.code === 0 ? 'done' : `exit code ${ended.code}, ${errorCodeOf(ended)}`;
}
