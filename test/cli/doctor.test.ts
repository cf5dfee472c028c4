import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DIFFERENCES } from '../../src/executors/differences.ts';
import { createDockerExecutor } from '../../src/executors/docker/dockerExecutor.ts';
import type { LimitTable } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import { fixture, REPOSITORY } from '../support/fixture.ts';
import { PROBE_PREFIX } from '../support/probePrefix.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor, VMBUILD } from './cli.ts';

interface Report {
  readonly canBuild: boolean;
  readonly executors: readonly {
    readonly name: string;
    readonly works: boolean;
    readonly about: string;
    readonly advice: readonly string[];
    readonly limits?: LimitTable;
  }[];
  readonly facts: readonly { readonly name: string; readonly value: string; readonly advice: readonly string[] }[];
  readonly differences: unknown;
}

const read = (stdout: string): Report => JSON.parse(stdout.split('\n')[0] as string) as Report;
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const isRoot = process.getuid?.() === 0;
const mayBeNobody =
  isRoot && spawnSync('setpriv', [...NOBODY, 'test', '-r', join(REPOSITORY, 'package.json')]).status === 0;

describe('vmbuild doctor', () => {
  it('says of each executor what its probe finds, and which limits it keeps: those that the tests of limits hold it to', async () => {
    const host = process.env['DOCKER_HOST'];
    const cli = await cliFor(await fixture({}), undefined, host === undefined ? {} : { DOCKER_HOST: host });
    const { code, stdout, stderr } = await cli.run('doctor', '--json', '--offline');
    const report = read(stdout);
    for (const [index, executor] of [createNamespaceExecutor(), createDockerExecutor()].entries()) {
      const found = await executor.probe(PROBE_PREFIX);
      const told = report.executors[index];
      expect(told).toMatchObject({ name: executor.name, works: found.available });
      if (found.available) expect(told?.limits).toEqual(await executor.limits());
      else expect(told).toMatchObject({ about: found.reason, advice: found.hints });
    }
    const works = report.executors.some((executor) => executor.works);
    expect({ code, canBuild: report.canBuild, silent: stderr === '' }).toEqual({
      code: works ? 0 : 6,
      canBuild: works,
      silent: works,
    });
    expect(report.differences).toEqual(DIFFERENCES);
  });

  it('tells people the same, with the store’s disk', async () => {
    const cli = await cliFor(await fixture({}));
    const { stdout } = await cli.runWithoutNetwork('doctor', '--offline');
    expect(stdout).toMatch(/^namespace (works|does not work): /m);
    expect(stdout).toMatch(/^docker (works|does not work): /m);
    expect(stdout).toContain(cli.store);
    expect(stdout).toMatch(/^ {2}free space +\d/m);
    for (const { what } of DIFFERENCES) expect(stdout).toContain(what);
  });

  it('where user namespaces are forbidden and no daemon answers: says by which switch, and fails', async () => {
    const script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"';
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      [
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        script,
        'sh',
        VMBUILD,
        '--store',
        await temporary(),
        'doctor',
        '--offline',
        '--json',
      ],
      { env: { PATH: process.env['PATH'], DOCKER_HOST: 'unix:///no/such/socket' }, encoding: 'utf8' },
    );
    expect(status).toBe(6);
    const { canBuild, executors } = read(stdout);
    expect(canBuild).toBe(false);
    expect(executors[0]?.about).toContain('a user namespace cannot be made');
    expect(executors[0]?.advice.join()).toContain('sysctl user.max_user_namespaces=');
    expect(executors[1]?.about).toContain('/no/such/socket');
    expect(stderr).toMatch(/^error EXECUTOR_UNAVAILABLE: /);
  });

  it('does not make a store, and says that there is none', async () => {
    const folder = join(await temporary(), 'not', 'there');
    const cli = await cliFor(await fixture({}), folder);
    const { stdout } = await cli.run('doctor', '--offline');
    expect(stdout).toContain(`${folder} (not there yet)`);
    expect(spawnSync('test', ['-e', folder]).status).toBe(1);
  });

  it('says that a folder is no store, after everything else', async () => {
    const folder = await temporary();
    mkdirSync(join(folder, 'artifacts'));
    const { code, stdout, stderr } = await (await cliFor(await fixture({}), folder)).run('doctor', '--offline');
    expect(code).toBe(7);
    expect(stdout).toContain('this machine');
    expect(stdout).not.toContain('It can build.');
    expect(stderr).toMatch(/^error STORE_UNUSABLE: /);
  });

  it.skipIf(!isRoot)('warns of a store on a disk that is small and mounted noexec (needs root)', async () => {
    const point = await temporary();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec,size=20m', 'tmpfs', point]);
    try {
      const { stdout } = await (
        await cliFor(await fixture({}), join(point, 'store'))
      ).run('doctor', '--offline', '--json');
      const advice = (name: string) => read(stdout).facts.find((fact) => fact.name === name);
      expect(advice('file system')).toMatchObject({ value: 'tmpfs', advice: [expect.stringContaining('noexec')] });
      expect(advice('free space')).toMatchObject({ advice: [expect.stringContaining('vmbuild gc')] });
    } finally {
      execFileSync('umount', [point]);
    }
  });

  it.skipIf(!mayBeNobody)(
    'tells an ordinary user of other limits (needs root, and a checkout that others can read)',
    async () => {
      const home = await temporary();
      chmodSync(home, 0o755);
      chownSync(home, 65534, 65534);
      const { stdout } = spawnSync(
        'setpriv',
        [...NOBODY, VMBUILD, '--store', join(home, 'store'), 'doctor', '--offline', '--json'],
        {
          env: { PATH: process.env['PATH'], HOME: home },
          encoding: 'utf8',
          cwd: home,
        },
      );
      const [namespace] = read(stdout).executors;
      if (namespace?.works === true) expect(namespace.limits?.memory.kept).toBe('sampled');
      else expect(namespace?.advice.length).toBeGreaterThan(0);
    },
  );
});
