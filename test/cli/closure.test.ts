import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { storeFolder } from '../../src/cli/settings.ts';
import { sha256 } from '../../src/model/digest.ts';
import { buildSuite, cannotBuild, fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor } from './cli.ts';

const hasZstd = spawnSync('zstd', ['--version']).status === 0;
const skipped = cannotBuild ?? (hasZstd ? undefined : 'zstd(1) is not installed');

/** A folder for PATH with everything of this machine but Node and npm. */
async function pathWithoutNode(): Promise<string> {
  const folder = await temporary();
  for (const from of ['/usr/sbin', '/usr/bin']) {
    for (const name of readdirSync(from)) {
      if (!/^(node|nodejs|npm|npx|corepack)$/.test(name) && !existsSync(join(folder, name))) {
        symlinkSync(join(from, name), join(folder, name));
      }
    }
  }
  return folder;
}

describe.skipIf(skipped !== undefined)(
  skipped === cannotBuild ? buildSuite('vmbuild export') : `vmbuild export (skipped: ${skipped})`,
  () => {
    // Node alone is 120 MB, packed twice; and an image is assembled.
    it(
      'gives a file that tar unpacks, and that rebuilds without npm, Node, and any network',
      { timeout: 600_000 },
      async () => {
        const project = await fixture({
          'tool/recipe.ts': scriptRecipe('cat /in/text >/out/tool; echo tool >>/out/tool', {
            sources: { text: { type: 'local', path: 'text', sha256: sha256('a source\n') } },
          }),
          'tool/text': 'a source\n',
          'thing/recipe.ts': scriptRecipe('cat /in/tool/tool >/out/thing; mkdir /out/d; ln -s ../thing /out/d/link', {
            inputs: { tool: 'tool' },
          }),
        });
        const cli = await cliFor(project);
        expect(await cli.run('key', 'generate')).toMatchObject({ code: 0 });
        const built = await cli.run('realize', 'thing', '--json');
        const { artifact } = JSON.parse(built.stdout.trimEnd().split('\n').at(-1) ?? '') as { artifact: string };
        const folder = await temporary();
        const sources = join(await storeFolder({ recipes: [] }), 'sources');
        const sourceDir = existsSync(sources) ? ['--source-dir', sources] : [];
        const files = [join(folder, 'one.vmb'), join(folder, 'two.vmb')];
        for (const file of files) {
          expect(await cli.run('export', 'thing', file, '--artifacts', ...sourceDir)).toMatchObject({ code: 0 });
        }
        const [one, two] = files.map((file) => sha256(readFileSync(file)));
        expect(one).toBe(two);

        const unpacked = join(folder, 'unpacked');
        mkdirSync(unpacked);
        execFileSync('tar', ['-C', unpacked, '-xf', files[0] as string]);
        const path = await pathWithoutNode();
        const run = (...args: string[]): SpawnSyncReturns<string> =>
          spawnSync('unshare', ['--user', '--map-root-user', '--net', './vmbuild', ...args], {
            cwd: unpacked,
            env: { PATH: path, HOME: join(folder, 'home') },
            encoding: 'utf8',
          });
        expect(spawnSync('sh', ['-c', 'command -v node npm'], { env: { PATH: path } }).stdout.toString()).toBe('');
        const imported = run('import', '.');
        expect(imported).toMatchObject({ status: 0, stderr: '' });
        // There is nobody whom this machine trusts.
        expect(imported.stdout).toContain('0 artifacts taken');
        expect(imported.stdout).toContain(`thing was ${artifact} where it was exported`);
        const realized = run('realize', 'thing', '--offline', '--json', '--executor', 'namespace');
        expect(realized).toMatchObject({ status: 0 });
        expect(realized.stdout).toContain('"type":"step-started","target":"tool"');
        expect(realized.stdout).toContain('"type":"transfer-started","what":"image"');
        expect(realized.stdout).toMatch(new RegExp(`"type":"result","target":"thing".*"artifact":"${artifact}"`));
        expect(run('store', 'check')).toMatchObject({ status: 0 });
      },
    );

    it('refuses a file that is there, and says what an argument is for', async () => {
      const cli = await cliFor(await fixture({ 'thing/recipe.ts': scriptRecipe('true') }));
      const folder = await temporary();
      expect(await cli.run('export', 'thing')).toMatchObject({ code: 2, stderr: expect.stringContaining('.vmb') });
      expect(await cli.run('import', join(folder, 'none.vmb'))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('cannot be read'),
      });
    });
  },
);
