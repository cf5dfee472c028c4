import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { useBase } from './harness/base.ts';
import { turnBit } from './harness/bits.ts';
import { lacksNamespaces } from './harness/machine.ts';
import { TARGET } from './harness/project.ts';
import { errorCodeOf } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { runsOr } from './harness/seed.ts';
import { expectRecovery } from './harness/verdict.ts';
import { World } from './harness/world.ts';

const base = useBase();

/** Where a bit can turn over; `roots` and `last` are what tells a store what it keeps. */
const FOLDERS = ['artifacts', 'sources', 'images', 'realisations', 'roots', 'last', 'logs'] as const;

/** `store check --repair` in a world, without a network. */
function repairArguments({ project }: World): readonly string[] {
  return ['store', 'check', '--repair', '--json', '--offline', '--source-dir', project.debs];
}

/** Expects that a check finds each of these files, that a repair leaves nothing wrong, and that nothing is to be done then. */
async function expectRepair(world: World, spoilt: readonly string[]): Promise<void> {
  const found = await world.run(['store', 'check', '--json']);
  expect(found.code, found.stderr).toBe(8);
  const paths = found.stdout.split('\n').flatMap((line) => /"type":"finding".*"path":"([^"]+)"/.exec(line)?.[1] ?? []);
  for (const path of spoilt) {
    // What is found is the artifact, not the file in it.
    const named = paths.some((finding) => `${path}/`.startsWith(`${finding}/`) || path === `${finding}.json`);
    expect(named, `${path} in ${paths.join()}`).toBe(true);
  }
  const repaired = await world.run(repairArguments(world));
  expect(repaired, `${repaired.stdout}${repaired.stderr}`).toMatchObject({ code: 0, stderr: '' });
  expect(await expectRecovery(world, base().reference)).toEqual([]);
}

family('a bit that turns over', () => {
  for (const folder of FOLDERS) {
    for (let run = 1; run <= Math.ceil(runsOr(7) / FOLDERS.length); run += 1) {
      scenario(`in ${folder}/, run ${run}, is found and repaired`, lacksNamespaces, async (random, tell) => {
        const world = await World.create(base().project, base().fullStore);
        const path = join(folder, turnBit(join(world.store, folder), random));
        tell(path);
        await expectRepair(world, [path]);
      });
    }
  }

  for (let run = 1; run <= Math.ceil(runsOr(2) / 4); run += 1) {
    scenario(`in every folder at once, run ${run}, is found and repaired`, lacksNamespaces, async (random, tell) => {
      const world = await World.create(base().project, base().fullStore);
      const spoilt = FOLDERS.map((folder) => join(folder, turnBit(join(world.store, folder), random)));
      tell(spoilt.join(', '));
      await expectRepair(world, spoilt);
    });
  }

  scenario('in the number of the format leaves the store alone', lacksNamespaces, async (random, tell) => {
    const world = await World.create(base().project, base().fullStore);
    const format = join(world.store, 'format');
    const before = readFileSync(format);
    const spoilt = Buffer.from(before);
    const place = random.between(0, before.length - 1);
    spoilt.writeUInt8(before.readUInt8(place) ^ (1 << random.between(0, 7)), place);
    writeFileSync(format, spoilt);
    tell(JSON.stringify(spoilt.toString('latin1')));
    for (const args of [['realize', TARGET], ['store', 'check'], repairArguments(world), ['gc']])
      expect(errorCodeOf(await world.run(args))).toBe('STORE_UNUSABLE');
    writeFileSync(format, before);
    expect(await expectRecovery(world, base().reference)).toEqual([]);
  });
});

family('a repair', () => {
  scenario('with --dry-run says the same, and changes nothing', lacksNamespaces, async (random) => {
    const world = await World.create(base().project, base().fullStore);
    const path = join('artifacts', turnBit(join(world.store, 'artifacts'), random));
    const spoilt = readFileSync(join(world.store, path));
    const planned = await world.run([...repairArguments(world).filter((word) => word !== '--json'), '--dry-run']);
    expect(planned.code).toBe(8);
    expect(planned.stdout).toMatch(/repair: would be moved to quarantine\/artifacts-/);
    expect(planned.stdout).toMatch(new RegExp(`^root ${TARGET}: 1 thing that it keeps would be made again$`, 'm'));
    expect(readFileSync(join(world.store, path))).toEqual(spoilt);
    await expectRepair(world, [path]);
  });

  scenario('never puts another result in the place of what is lost', lacksNamespaces, async (random) => {
    const world = await World.create(base().project, base().fullStore);
    turnBit(join(world.store, 'artifacts'), random);
    const root = join(world.store, 'roots', `last-${TARGET}.json`);
    // Of a root that says something else than the recipes do, nothing can be made again.
    const text = readFileSync(root, 'utf8').replace(/,\n "check": "[0-9a-f]{64}"/, '');
    writeFileSync(root, text.replace(/"derivation": "[0-9a-f]{4}/, '"derivation": "0000'));
    const repaired = await world.run(repairArguments(world));
    expect(repaired.code).toBe(8);
    expect(repaired.stdout).toMatch(/"outcome":"NOT made again","code":"STORE_DAMAGED"/);
    expect((await world.run(['gc'])).stderr).toMatch(/^error STORE_DAMAGED: (?:.*\n)*.*vmbuild root rm [0-9a-f]{64}$/m);
    rmSync(root);
    await expectRecovery(world, base().reference);
  });

  scenario('that is killed in the middle is finished by the next', lacksNamespaces, async (random, tell) => {
    const world = await World.create(base().project, base().fullStore);
    for (const folder of FOLDERS) turnBit(join(world.store, folder), random);
    const running = world.start(repairArguments(world));
    const moment = random.between(200, 4000);
    const timer = setTimeout(() => running.child.kill('SIGKILL'), moment);
    const { signal } = await running.ended;
    clearTimeout(timer);
    tell(`after ${moment} ms: ${signal ?? 'too late'}`);
    const repaired = await world.run(repairArguments(world));
    expect(repaired, `${repaired.stdout}${repaired.stderr}`).toMatchObject({ code: 0, stderr: '' });
    expect(await expectRecovery(world, base().reference)).toEqual([]);
  });
});
