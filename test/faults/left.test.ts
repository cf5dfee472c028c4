import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ownerPrefix } from '../../src/io/owner.ts';
import { until } from '../support/processes.ts';
import { useBase } from './harness/base.ts';
import { lacksNamespaces } from './harness/machine.ts';
import { family, scenario } from './harness/scenario.ts';
import { expectRecovery, digestsOf } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();
const HOLDER = fileURLToPath(new URL('../io/holdLock.ts', import.meta.url));

/** A process that has a lock of a store, until it is killed. */
async function holdLock(world: World, name: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLDER, join(world.store, 'locks', name)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return child;
}

/** The first parts of an owner's mark, of a process that certainly has ended: nobody has this number at that time. */
function deadOwner(): string {
  const [boot, pid, , namespace] = ownerPrefix().split('.');
  return `${boot}.${pid}.1.${namespace}.`;
}

family('what the dead have left', () => {
  scenario(
    'locks, of the image and of every step, are free when their holders are killed',
    lacksNamespaces,
    async () => {
      const { project, reference, fullStore } = base();
      const world = await World.create(project);
      mkdirSync(world.store);
      writeFileSync(join(world.store, 'format'), '1\n');
      const steps = readdirSync(join(fullStore, 'realisations')).map((name) => `build-${name.replace('.json', '')}`);
      const holders = await Promise.all([`image-${project.image}`, ...steps].map((name) => holdLock(world, name)));
      const running = world.startRealize();
      await until('it waits for the image', () => running.output().includes('"transfer-waiting"'));
      for (const [index, holder] of holders.entries()) {
        // One that stands still holds what it has; one that is dead does not.
        if (index === 1) holder.kill('SIGSTOP');
        holder.kill('SIGKILL');
      }
      const ended = await running.ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
      expect(digestsOf(ended)).toEqual(reference);
      expect(await expectRecovery(world, reference)).toEqual([]);
    },
  );

  scenario('the lock of a collection is free when that is killed', lacksNamespaces, async () => {
    const { project, reference, fullStore } = base();
    const world = await World.create(project, fullStore);
    const holder = await holdLock(world, 'gc');
    const running = [world.run(['gc']), world.realize({ args: ['--rebuild'] }), world.run(['store', 'check'])];
    // Who only looks waits for nobody.
    expect(await running[2]).toMatchObject({ code: 0, stderr: '' });
    holder.kill('SIGKILL');
    for (const ended of await Promise.all(running)) expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(await expectRecovery(world, reference)).toEqual([]);
  });

  scenario('scratch folders and pins are removed, whatever is in them', lacksNamespaces, async (random) => {
    const { project, reference, fullStore } = base();
    const world = await World.create(project, fullStore);
    const owners = [deadOwner(), `00000000.${random.between(1, 99_999)}.${random.between(1, 99_999)}.1.`];
    for (const owner of owners) {
      const scratch = join(world.store, 'tmp', `${owner}scratch`);
      mkdirSync(join(scratch, 'sandbox', 'out', 'deep'), { recursive: true });
      writeFileSync(join(scratch, 'sandbox', 'out', 'deep', 'file'), '');
      writeFileSync(Buffer.concat([Buffer.from(`${scratch}/`), Buffer.from([0xff, 0xfe])]), '');
      for (const folder of ['sandbox/out/deep', 'sandbox/out', 'sandbox']) chmodSync(join(scratch, folder), 0o500);
      writeFileSync(join(world.store, 'tmp', `${owner}17.abc.tmp`), 'half a rec');
      writeFileSync(join(world.store, 'running', `${owner}1`), 'half a dig');
    }
    const check = await world.run(['store', 'check']);
    expect(check, check.stdout).toMatchObject({ code: 0, stderr: '' });
    expect(check.stdout.match(/^leftover /gm)).toHaveLength(6);
    expect(await expectRecovery(world, reference)).toEqual([]);
    expect(readdirSync(join(world.store, 'tmp'))).toEqual([]);
  });
});
