import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createImageCatalog } from '../../src/build/images.ts';
import { projectRoots, storeFolder } from '../../src/cli/settings.ts';
import { findImage } from '../../src/store/images.ts';
import { openStoreForReading } from '../../src/store/openStore.ts';
import { buildSuite, cannotBuild, fixture, REPOSITORY, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor } from './cli.ts';

/** Bytes in no format that vmbuild reads, and a text. */
async function twoFolders(): Promise<readonly [string, string]> {
  const folder = await temporary();
  const made = ['a', 'b'].map((name) => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'data.gz'), Buffer.from([0x1f, 0x8b, 0, ...Buffer.from(name)]));
    writeFileSync(join(folder, name, 'note'), `${name}\n`);
    return join(folder, name);
  });
  return made as [string, string];
}

const locked = await createImageCatalog(projectRoots({ recipes: [] }))('diffoscope', 'a test');
const real = await findImage(await openStoreForReading(await storeFolder({ recipes: [] })), locked.digest);
const noImage = 'the store has no image diffoscope; vmbuild image build diffoscope makes it';
const skipped = cannotBuild ?? (real === undefined ? noImage : undefined);

describe.skipIf(cannotBuild !== undefined)(buildSuite('diffoscope as an extra'), { timeout: 120_000 }, () => {
  it('is offered where vmbuild has no reader, and if it fails the own report stands', async () => {
    const project = await fixture({});
    // An image of this name without such a program.
    cpSync(join(project.root.images, 'base'), join(project.root.images, 'diffoscope'), { recursive: true });
    const cli = await cliFor(project);
    const [a, b] = await twoFolders();
    const own = 'data.gz: changed: 1 of 4 bytes, the first at 0x3\nnote: changed: from line 1\n    - a\n    + b\n';
    const plain = await cli.run('diff', a, b);
    expect(plain).toMatchObject({ code: 5, stdout: own });
    expect(plain.stderr).toContain(`vmbuild diff ${a} ${b} --diffoscope`);
    const asked = await cli.run('diff', a, b, '--diffoscope', '--executor', 'namespace');
    expect(asked.code).toBe(5);
    expect(asked.stdout.startsWith(own), asked.stdout).toBe(true);
    expect(asked.stdout.slice(own.length)).toMatch(/^diffoscope did not compare data\.gz: /);
    // What vmbuild reads is left to it: nothing is started for a text.
    const text = await cli.run('diff', join(a, 'note'), join(b, 'note'), '--diffoscope');
    expect(text).toMatchObject({ code: 5, stdout: own.slice(own.indexOf('note')) });
    expect(text.stderr).not.toContain('executor');
  });

  it('is named by a verification that differs, which says itself where', async () => {
    const project = await fixture({ 'top/recipe.ts': scriptRecipe(`printf '\\0%s' "$(uname -r)" > /out/v`) });
    const cli = await cliFor(project);
    await cli.run('realize', 'top', '--executor', 'namespace');
    const verified = await cli.run('verify', 'top', '--axis', 'kernel', '--executor', 'namespace');
    expect(verified.code, verified.stderr).toBe(5);
    expect(verified.stdout).toMatch(/^ {2}top: v: changed: \d+/m);
    expect(verified.stdout).toMatch(
      /^vmbuild has no reader for v; diffoscope may: vmbuild diff [0-9a-f]{64} [0-9a-f]{64} --diffoscope$/m,
    );
  });
});

describe.skipIf(skipped !== undefined)(
  `diffoscope in its image${skipped === undefined ? '' : ` (skipped: ${skipped})`}`,
  { timeout: 300_000 },
  () => {
    it('compares, and its reports are kept', async () => {
      const store = await storeWithImage();
      symlinkSync(join(real?.rootfs as string, '..'), join(store.layout.root, 'images', locked.digest));
      const project = await fixture({});
      cpSync(join(REPOSITORY, 'docker', 'diffoscope'), join(project.root.images, 'diffoscope'), { recursive: true });
      const cli = await cliFor(project, store.layout.root);
      const [a, b] = await twoFolders();
      const asked = await cli.run('diff', a, b, '--diffoscope', '--executor', 'namespace', '--json');
      expect(asked.code, asked.stderr).toBe(5);
      const line = asked.stdout.split('\n').find((text) => text.startsWith('{"diffoscope"')) ?? '{}';
      const { diffoscope } = JSON.parse(line) as { diffoscope: Record<'kind' | 'text' | 'html', string> };
      expect(diffoscope).toMatchObject({ kind: 'compared', files: ['data.gz'] });
      expect(readFileSync(diffoscope.text, 'utf8')).toContain('+++ /in/after/1-data.gz');
      expect(readFileSync(diffoscope.html, 'utf8')).toContain('<html');
      expect((await cli.run('store', 'check')).code).toBe(0);
    });
  },
);
