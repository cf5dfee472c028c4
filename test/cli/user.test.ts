import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { buildSuite, cannotBuild, fixture, REPOSITORY, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { VMBUILD } from './cli.ts';

const image = inject('baseImage');
const NOBODY = 65534;
const PREFIX = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const possible =
  process.getuid?.() === 0 &&
  spawnSync('setpriv', [...PREFIX, 'test', '-r', join(REPOSITORY, 'package.json')]).status === 0;

describe.skipIf(cannotBuild !== undefined || !possible)(
  buildSuite('a user without rights (needs root to become one, and a checkout that others can read)'),
  () => {
    it('builds, whatever modes a step leaves, and gets the same digest', async () => {
      const script =
        'mkdir -p /out/d/e; echo x >/out/d/e/f; mkdir /build/b; : >/build/b/c; chmod 0 /out/d/e/f /out/d/e /out/d /build/b /out';
      const project = await fixture({ 'one/recipe.ts': scriptRecipe(script) });
      chmodSync(project.folder, 0o755);
      const home = await temporary();
      chownSync(home, NOBODY, NOBODY);
      const store = join(home, 'store');
      const asNobody = (program: string, ...args: string[]) =>
        spawnSync('setpriv', [...PREFIX, program, ...args], {
          env: { PATH: process.env['PATH'], HOME: home },
          cwd: home,
        });
      // A store of format 1 with the image, which belongs to whoever assembled it: here to this user.
      asNobody('mkdir', '-p', join(store, 'images'));
      asNobody('sh', '-c', 'echo 1 >"$0"', join(store, 'format'));
      if ('folder' in image) {
        const copy = join(store, 'images', image.digest);
        execFileSync('cp', ['-r', '--preserve=mode,links', `${image.folder}/`, copy]);
        execFileSync('chown', ['-R', '--no-dereference', `${NOBODY}:${NOBODY}`, copy]);
      }
      const realize = ['--recipes', project.root.recipes, 'realize', 'one', '--json'];
      const result = (stdout: Buffer): unknown =>
        (JSON.parse(stdout.toString().trimEnd().split('\n').at(-1) ?? '') as { artifact?: string }).artifact;
      const { stdout, stderr, status } = asNobody(VMBUILD, '--store', store, ...realize);
      expect(stderr.toString()).toBe('');
      expect(status).toBe(0);
      expect(readdirSync(join(store, 'tmp'))).toEqual([]);

      const ours = join(await temporary(), 'store');
      mkdirSync(join(ours, 'images'), { recursive: true });
      writeFileSync(join(ours, 'format'), '1\n');
      if ('folder' in image) {
        execFileSync('ln', ['-s', image.folder, join(ours, 'images', image.digest)]);
      }
      expect(result(execFileSync(VMBUILD, ['--store', ours, ...realize]))).toBe(result(stdout));
      expect(result(stdout)).toMatch(/^[0-9a-f]{64}$/);
    });
  },
);
