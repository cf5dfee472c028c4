import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import { buildSuite, cannotBuild, fixture, scriptRecipe } from '../support/fixture.ts';
import { commandOf, processesWith, uniqueMarker, until } from '../support/processes.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor, VMBUILD } from './cli.ts';

const RECIPES = {
  'lib/recipe.ts': scriptRecipe('echo building; echo library >/out/lib'),
  'app/recipe.ts': scriptRecipe('cp /in/lib/lib /out/app; mkdir /out/share; echo d >/out/share/doc', {
    inputs: { lib: 'lib' },
  }),
};

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild realize'), () => {
  it('builds, says where everything is, and the second time takes it from the store without network or executor', async () => {
    const cli = await cliFor(await fixture(RECIPES));
    const first = await cli.run('realize', 'app');
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^app {2}[0-9a-f]{64}$/m);
    expect(first.stdout).toContain(`sha256 ${sha256('library\n')}`);
    expect(first.stdout).toMatch(/2 steps executed, 0 taken from the store/);
    expect(first.stderr).toMatch(/executor namespace/);
    const second = await cli.runWithoutNetwork('realize', 'app', '--json');
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(second.stdout).not.toContain('executor-chosen');
    expect(second.stdout).toContain('"how":"reused"');
  });

  it('tells everything that happens as typed lines of JSON, and nothing else on standard output', async () => {
    const cli = await cliFor(await fixture(RECIPES));
    const { code, stdout, stderr } = await cli.run('realise', 'app', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const line of lines)
      expect(line).toMatchObject({ time: expect.any(String) as unknown, type: expect.any(String) as unknown });
    const types = lines.map(({ type }) => type);
    expect(types[0]).toBe('planned');
    expect(types.at(-1)).toBe('result');
    expect(types).toEqual(
      expect.arrayContaining(['executor-chosen', 'step-queued', 'step-started', 'step-output', 'step-finished']),
    );
    expect(lines.at(-1)).toMatchObject({
      target: 'app',
      how: 'built',
      files: [{ name: 'app', sha256: sha256('library\n'), size: 8 }],
    });
  });

  it('takes recipes for ES modules, whatever a package.json above them says, also through links', async () => {
    const project = await fixture({
      'package.json': '{ "type": "commonjs" }',
      'elsewhere/one/recipe.ts': `${scriptRecipe('true')}export const typed: number = 1;\n`,
      'elsewhere/two/recipe.js': scriptRecipe('true', { inputs: { one: 'one' } }),
    });
    for (const name of ['one', 'two']) {
      await symlink(join(project.root.recipes, 'elsewhere', name), join(project.root.recipes, name));
    }
    const { code, stdout, stderr } = await (await cliFor(project)).run('realize', 'two', '--dry-run');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/one .*two /s);
  });

  it('with --dry-run says what it would do, and touches nothing', async () => {
    const project = await fixture(RECIPES);
    const cli = await cliFor(project);
    const before = execFileSync('find', [cli.store, '-printf', '%p %i %s\\n']).toString();
    const { code, stdout } = await cli.runWithoutNetwork('realize', 'app', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^lib +build +never built here\napp +build\? +after lib$/m);
    const json = JSON.parse((await cli.runWithoutNetwork('realize', 'app', '--dry-run', '--json')).stdout) as object;
    expect(json).toMatchObject({
      missing: [],
      steps: [
        { target: 'lib', decision: 'build' },
        { target: 'app', decision: 'depends' },
      ],
    });
    expect(execFileSync('find', [cli.store, '-printf', '%p %i %s\\n']).toString()).toBe(before);
    const empty = await cliFor(project, join(await temporary(), 'store'));
    expect((await empty.runWithoutNetwork('realize', 'app', '--dry-run')).stdout).toMatch(/^image base +assemble/m);
    expect(existsSync(join(empty.store, 'tmp'))).toBe(false);
  });

  it('copies to a folder with sums that sha256sum accepts, also for unusual names', async () => {
    const cli = await cliFor(
      await fixture({
        ...RECIPES,
        'odd/recipe.ts': scriptRecipe("echo 1 >$'/out/a\\nb'; echo 2 >'/out/c\\d'; echo 3 >'/out/e f'"),
      }),
    );
    const out = join(await temporary(), 'deep', 'out');
    expect(await cli.run('realize', 'app', 'odd', '-o', out)).toMatchObject({ code: 0 });
    const check = spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
    expect(check.status).toBe(0);
    expect(check.stdout.toString().trimEnd().split('\n').length).toBe(4);
    expect(await readFile(join(out, 'share', 'doc'), 'utf8')).toBe('d\n');
    await writeFile(join(out, 'app'), 'changed');
    expect(spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out }).status).toBe(1);
    expect(await cli.run('realize', 'app', '-o', out)).toMatchObject({ code: 0 });
    expect(await readFile(join(out, 'app'), 'utf8')).toBe('library\n');
  });

  it('copies no two targets over each other', async () => {
    const cli = await cliFor(
      await fixture({ ...RECIPES, 'other/recipe.ts': scriptRecipe('mkdir /out/share; echo other >/out/share/doc') }),
    );
    const out = join(await temporary(), 'out');
    const { code, stderr } = await cli.run('realize', 'app', 'other', '-o', out);
    expect(code).toBe(2);
    expect(stderr).toContain('app and other both have share');
    expect(existsSync(out)).toBe(false);
  });

  it('stops at Ctrl-C with 130, and leaves no process and no scratch folder', async () => {
    const marker = uniqueMarker();
    const cli = await cliFor(
      await fixture({ 'one/recipe.ts': scriptRecipe(`trap "" INT TERM; sleep 1000; echo ${marker}`) }),
    );
    const { child, ended } = cli.start('realize', 'one');
    await until('the step runs', () => processesWith(marker).length > 0);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/error INTERRUPTED: stopped by SIGINT; finished steps are kept/);
    expect(processesWith(marker)).toEqual([]);
    expect(await readdir(join(cli.store, 'tmp'))).toEqual([]);
  });

  it('that is killed takes its steps along, and the next one sweeps what it left', async () => {
    const marker = uniqueMarker();
    const cli = await cliFor(
      await fixture({ ...RECIPES, 'one/recipe.ts': scriptRecipe(`setsid sleep 1000 & sleep 1000; echo ${marker}`) }),
    );
    const { child, ended } = cli.start('realize', 'one');
    await until('the step runs', () => processesWith(marker).some((pid) => commandOf(pid) === 'bash'));
    child.kill('SIGKILL');
    await ended;
    await until('the step is gone', () => processesWith(marker).length === 0);
    expect((await readdir(join(cli.store, 'tmp'))).length).toBe(1);
    expect((await cli.run('realize', 'lib')).code).toBe(0);
    expect(await readdir(join(cli.store, 'tmp'))).toEqual([]);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('a vmbuild that fails'), () => {
  const failing = {
    'broken/recipe.ts': scriptRecipe('echo the last line; exit 9'),
    'empty/recipe.ts': scriptRecipe('true'),
    'random/recipe.ts': scriptRecipe('head -c 9 /dev/urandom >/out/x'),
    'ring/recipe.ts': scriptRecipe('true', { inputs: { ring: 'ring' } }),
    'wrong/recipe.ts': scriptRecipe('true', { colour: 1 }),
    'source/recipe.ts': scriptRecipe('true', {
      sources: { s: { type: 'https', urls: ['https://example.invalid/s'], sha256: sha256('s') } },
    }),
    'big/recipe.ts': scriptRecipe('true', {
      inputs: { r: 'random' },
      flashBudget: { limit: 1, parts: { x: { input: 'random', file: 'x' } } },
    }),
  };

  it.each([
    [['realize', 'nobody'], 2, 'RECIPE_NOT_FOUND'],
    [['realize', 'wrong'], 2, 'RECIPE_INVALID'],
    [['realize', 'ring'], 2, 'RECIPE_CYCLE'],
    [['realize', 'broken'], 3, 'BUILD_FAILED'],
    [['realize', 'empty'], 3, 'OUTPUT_INVALID'],
    [['realize', 'big'], 3, 'BUDGET_EXCEEDED'],
    [['realize', 'source', '--offline'], 4, 'SOURCE_UNAVAILABLE'],
    [['realize', 'broken', '--jobs', '0'], 2, 'USAGE'],
    [['log', 'nobody'], 2, 'RECIPE_NOT_FOUND'],
    [['show', 'nobody'], 2, 'RECIPE_NOT_FOUND'],
  ])('%j exits with %d and says %s', async (args, exitCode, errorCode) => {
    const cli = await cliFor(await fixture(failing));
    const { code, stderr, stdout } = await cli.run(...args);
    expect(code).toBe(exitCode);
    expect(stderr).toContain(`error ${errorCode}: `);
    expect(stdout).toBe('');
  });

  it('says what, where its log is and what to do next, and "log" prints that log', async () => {
    const cli = await cliFor(await fixture(failing));
    const { stderr } = await cli.run('realize', 'broken');
    expect(stderr).toMatch(
      / {2}│ the last line\nerror BUILD_FAILED: broken failed with exit code 9\n {2}log: {2}vmbuild log broken\n {2}next: /,
    );
    expect(await cli.run('log', 'broken')).toEqual({ code: 0, stdout: 'the last line\n', stderr: '' });
  });

  it('because a rebuild gave other bytes exits with 5', async () => {
    const cli = await cliFor(await fixture(failing));
    await cli.run('realize', 'random');
    const { code, stderr } = await cli.run('realize', 'random', '--rebuild');
    expect(code).toBe(5);
    expect(stderr).toMatch(/error NOT_REPRODUCED: random.*\n.*\n {2}next: Both are kept\. Compare them: diff -r/);
  });

  it('because the asked executor does not work exits with 6, and takes no other one', async () => {
    const cli = await cliFor(await fixture(failing), undefined, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    const { code, stderr } = await cli.run('realize', 'random', '--executor', 'docker');
    expect(code).toBe(6);
    expect(stderr).toContain('error EXECUTOR_UNAVAILABLE: ');
    expect(stderr).not.toContain('started');
  });

  it('because the store is of a newer format exits with 7', async () => {
    const cli = await cliFor(await fixture(failing));
    await writeFile(join(cli.store, 'format'), '9\n');
    const { code, stderr } = await cli.run('ls');
    expect(code).toBe(7);
    expect(stderr).toMatch(/error STORE_UNUSABLE: .*\n {2}next: /);
  });

  it.each([
    [['--nonsense']],
    [['realize']],
    [['nonsense']],
    [['realize', 'broken', '--nonsense']],
    [['realize', 'broken', '--executor', 'podman']],
    [[]],
  ])('because the command line is %j exits with 2 and shows the way to help', async (args) => {
    const { code, stderr } = await (await cliFor(await fixture(failing))).run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--help|Usage/);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('the other commands'), () => {
  it('list and show targets before and after they were built', async () => {
    const cli = await cliFor(await fixture({ ...RECIPES, 'wrong/recipe.ts': scriptRecipe('true', { colour: 1 }) }));
    type Row = { target: string; state: string };
    const list = async (): Promise<Record<string, string>> => {
      const rows = JSON.parse((await cli.runWithoutNetwork('ls', '--json')).stdout) as Row[];
      return Object.fromEntries(rows.map(({ target, state }) => [target, state]));
    };
    expect(await list()).toMatchObject({ app: '-', lib: '-', wrong: 'error' });
    expect(JSON.parse((await cli.run('show', 'app', '--json')).stdout)).toMatchObject({
      decision: 'depends',
      inputs: { lib: 'lib' },
    });
    await cli.run('realize', 'app');
    expect(await list()).toMatchObject({ app: 'in store', lib: 'in store' });
    expect((await cli.run('ls')).stdout).toMatch(/^app +in store +10\.0 KiB +a test$/m);
    const shown = JSON.parse((await cli.run('show', 'app', '--json')).stdout) as {
      derivationHash: string;
      buildKey: string;
    };
    expect(shown).toMatchObject({
      target: 'app',
      decision: 'reuse',
      artifact: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
    });
    expect((await cli.run('show', 'app')).stdout).toContain(`derivation  ${shown.derivationHash}`);
    expect((await cli.run('log', shown.buildKey)).code).toBe(0);
    expect((await cli.run('log', 'lib')).stdout).toBe('building\n');
  });

  it('show what the inputs of a target were made with', async () => {
    const cli = await cliFor(
      await fixture({ ...RECIPES, 'top/recipe.ts': scriptRecipe('echo >/out/top', { inputs: { app: 'app' } }) }),
    );
    expect((await cli.run('show', 'top')).stdout).toMatch(/^closure +lib not built yet$/m);
    await cli.run('realize', 'app');
    const artifact = async (target: string): Promise<string> =>
      (JSON.parse((await cli.run('show', target, '--json')).stdout) as { artifact: string }).artifact;
    const [lib, app] = [await artifact('lib'), await artifact('app')];
    const shown = await cli.run('show', 'top');
    expect(shown.stdout).toMatch(new RegExp(`^/in/app +app ${app}$`, 'm'));
    expect(shown.stdout).toMatch(new RegExp(`^closure +lib ${lib}$`, 'm'));
    expect(JSON.parse((await cli.run('show', 'top', '--json')).stdout)).toMatchObject({
      closure: [
        { target: 'lib', artifact: lib },
        { target: 'app', artifact: app },
      ],
    });
  });

  it('may be cut off by whoever reads them', async () => {
    const cli = await cliFor(
      await fixture({ 'long/recipe.ts': scriptRecipe('for i in {1..100000}; do echo line $i; done; echo >/out/x') }),
    );
    await cli.run('realize', 'long');
    const command = `"${VMBUILD}" --store "${cli.store}" log long | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', command]);
    expect(stderr.toString()).toBe('');
    expect(stdout.toString()).toBe('line 1\n0\n');
  });

  it('fail if what they print cannot be written', async () => {
    const cli = await cliFor(await fixture(RECIPES));
    await cli.run('realize', 'lib');
    for (const command of ['log lib', 'ls']) {
      const { status } = spawnSync('bash', ['-c', `"${VMBUILD}" --store "${cli.store}" ${command} >/dev/full`]);
      expect(status).toBe(7);
    }
  });
});

describe('bin/vmbuild', () => {
  it('uses the Node that the package pins, not an older one of the system', async () => {
    const bin = await temporary();
    await writeFile(join(bin, 'node'), '#!/bin/sh\necho old node >&2; exit 99\n');
    await chmod(join(bin, 'node'), 0o755);
    const { status, stdout } = spawnSync(VMBUILD, ['--version'], {
      env: { PATH: `${bin}:${process.env['PATH']}`, HOME: bin },
    });
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('works through a link, from another folder, in a path with spaces', async () => {
    const folder = join(await temporary(), 'a b');
    await mkdir(folder);
    execFileSync('ln', ['-s', VMBUILD, join(folder, 'vm build')]);
    expect(spawnSync(join(folder, 'vm build'), ['--version'], { cwd: '/' }).status).toBe(0);
  });
});
