import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { storeFolder } from '../../src/cli/settings.ts';
import { buildSuite, cannotBuild, fixture, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { VMBUILD } from '../cli/cli.ts';
import { layOut, npm, pack, packageFolder } from './packed.ts';

const folder = packageFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const tarball = pack(folder);
const installed = layOut(tarball, join(folder, 'prefix'));
const sources = join(await storeFolder({ recipes: [] }), 'sources');

/** Runs a command with nothing of the caller's environment but PATH. */
function run(command: string, args: readonly string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
  const home = join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const environment = { PATH: process.env['PATH'], HOME: home, NO_COLOR: '1', ...env };
  return spawnSync(command, args, { encoding: 'utf8', env: environment, cwd: '/' });
}

/** Derivation hash and build key of every target, as the command tells them. */
function hashes(command: string, store: string): Record<string, unknown> {
  const json = (...args: string[]): unknown => {
    const { stdout, stderr } = run(command, ['--store', store, ...args, '--json']);
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };
  const targets = (json('ls') as { target: string }[]).map(({ target }) => target);
  return Object.fromEntries(
    targets.map((target) => {
      const { derivationHash, derivation, sources: from } = json('show', target) as Record<string, unknown>;
      return [target, { derivationHash, derivation, from }];
    }),
  );
}

/** Installs the tarball with npm itself; says why if that cannot be done here. */
function installGlobally(prefix: string): string | undefined {
  try {
    npm(['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', '--prefer-offline', tarball], folder);
    return undefined;
  } catch (error) {
    return `npm cannot install here: ${String(error).split('\n')[0]}`;
  }
}

describe('the packed tarball', () => {
  const listing = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trimEnd().split('\n');

  it('holds the compiled program and what it reads, and nothing of tests, sources or tools', () => {
    expect([...new Set(listing.map((path) => path.split('/')[1]))].sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'docs', 'package.json'].sort(),
    );
    for (const path of ['main.js', 'index.js', 'enter.pl', 'unpackWorker.js', 'types/index.d.ts', 'LICENSES.txt']) {
      expect(listing).toContain(`package/dist/${path}`);
    }
    for (const path of ['recipes/rom/recipe.js', 'recipes/rom/build.sh', 'docker/base/lock.json']) {
      expect(listing).toContain(`package/dist/${path}`);
    }
    expect(listing.filter((path) => /(?<!\.d)\.ts$|\.map$|\.test\./.test(path))).toEqual([]);
  });

  it('is small', () => {
    expect(statSync(tarball).size).toBeLessThan(700_000);
  });

  it('is installed, the same program: every target has the same derivation and sources as in the checkout', async () => {
    const store = join(await temporary(), 'store');
    const ours = hashes(VMBUILD, store);
    expect(Object.keys(ours)).toContain('rom-qemu-q35');
    expect(hashes(installed, store)).toEqual(ours);
    expect(run(installed, ['--version']).stdout).toBe(run(VMBUILD, ['--version']).stdout);
  });

  it('keeps its store with the data of the user, and never in the package', async () => {
    const data = await temporary();
    const places: [Record<string, string>, string][] = [
      [{ XDG_DATA_HOME: data }, join(data, 'vmbuild', 'store')],
      [{ XDG_DATA_HOME: 'relative', HOME: data }, join(data, '.local', 'share', 'vmbuild', 'store')],
      [{ XDG_DATA_HOME: data, VMBUILD_STORE: join(data, 'mine') }, join(data, 'mine')],
    ];
    for (const [env, store] of places) {
      // It fails for want of sources, with a store.
      expect(run(installed, ['realize', 'edk2', '--offline'], env).status).toBe(4);
      expect(readdirSync(store)).toContain('format');
    }
    expect(readdirSync(join(folder, 'prefix/lib/node_modules/vmbuild/dist'))).not.toContain('cache');
  });

  it('loads the Docker executor from its dependencies', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('echo x >/out/x') });
    const options = ['--recipes', project.root.recipes, '--store', store.layout.root];
    const { stderr } = run(installed, [...options, 'realize', 'one', '--executor', 'docker'], {
      DOCKER_HOST: `unix://${folder}/no-such-socket`,
    });
    expect(stderr).toContain('error EXECUTOR_UNAVAILABLE');
    expect(stderr).not.toContain('Cannot find');
  });

  describe.skipIf(cannotBuild !== undefined)(buildSuite('installed'), () => {
    it('builds: its scripts and worker threads are found', async () => {
      const store = await storeWithImage();
      const script = 'mkdir /out/d; for i in $(seq 40); do head -c 500000 /dev/zero >/out/d/$i; done';
      const project = await fixture({ 'one/recipe.ts': scriptRecipe(script) });
      const options = ['--recipes', project.root.recipes, 'realize', 'one', '--json'];
      const artifact = (command: string, root: string): unknown => {
        const { stdout, stderr, status } = run(command, ['--store', root, ...options]);
        expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
        return (JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { artifact: unknown }).artifact;
      };
      const ours = artifact(VMBUILD, (await storeWithImage()).layout.root);
      expect(artifact(installed, store.layout.root)).toBe(ours);
    });

    it('assembles an image', async () => {
      const store = join(await temporary(), 'store');
      const options = ['--store', store, 'image', 'build', 'base', '--offline', '--source-dir', sources];
      const { stdout, stderr } = run(installed, options);
      expect(stderr).toMatch(/image base assembled/);
      expect(existsSync(join(stdout.trimEnd().split('\n')[1]?.trim() ?? '', 'usr/bin/bash'))).toBe(true);
    });
  });
});

const prefix = join(folder, 'global');
const cannotInstall = installGlobally(prefix);

describe.skipIf(cannotInstall !== undefined)(
  `npm install --global of the tarball${cannotInstall === undefined ? '' : ` (skipped: ${cannotInstall})`}`,
  () => {
    const command = join(prefix, 'bin', 'vmbuild');

    it('gives the command, with the same hashes and with its own Node', async () => {
      const store = join(await temporary(), 'store');
      expect(hashes(command, store)).toEqual(hashes(VMBUILD, store));
      const { stdout } = run(command, ['--version'], { PATH: '/usr/bin:/bin' });
      expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    });
  },
);
