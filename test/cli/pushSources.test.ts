import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, describe } from 'vitest';
import { partSources } from '../../src/build/assembleLockedImage.ts';
import { createProvisioner } from '../../src/build/provision.ts';
import { storeFolder } from '../../src/cli/settings.ts';
import { readImageLock } from '../../src/images/lockFile.ts';
import { sha256 } from '../../src/model/digest.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { adoptSource } from '../../src/store/sources.ts';
import { buildSuite, cannotBuild, type Fixture, fixture, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor } from './cli.ts';

/** Packages of the image `base`, from the store that people use, or from the archive. */
async function putPackages(store: Store, { root }: Fixture): Promise<number> {
  const lock = await readImageLock(join(root.images, 'base', 'lock.json'));
  const warm = join(await storeFolder({ recipes: [] }), 'sources');
  const { signal } = new AbortController();
  const fetch = { sourceDirs: existsSync(warm) ? [warm] : [], debianMirrors: [], offline: false };
  await using provisioner = createProvisioner({ store, fetch, emit: () => {}, signal });
  const packages = partSources(lock);
  await Promise.all(packages.map((source) => provisioner.package(source)));
  return packages.length;
}

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild cache push --sources'), () => {
  it('gives a machine that reaches nothing else all that it builds with', { timeout: 600_000 }, async () => {
    const text = 'a source that is nowhere any more\n';
    const project = await fixture({
      'thing/recipe.ts': scriptRecipe('cat /in/text > /out/thing', {
        sources: { text: { type: 'https', urls: ['https://gone.invalid/text'], sha256: sha256(text) } },
      }),
    });
    const store = await storeWithImage();
    const file = join(store.layout.temporary, 'text');
    writeFileSync(file, text);
    await adoptSource(store, { kind: 'file', digest: sha256(text) }, file);
    const cli = await cliFor(project, store.layout.root);
    expect(await cli.run('key', 'generate')).toMatchObject({ code: 0 });
    const built = await cli.run('realize', 'thing', '--json', '--executor', 'namespace');
    expect(built).toMatchObject({ code: 0 });
    const result = built.stdout.trimEnd().split('\n').at(-1) ?? '';
    const { artifact } = JSON.parse(result) as { artifact: string };

    // The store has the image, and nothing that it is made of.
    const cache = await temporary();
    const push = ['cache', 'push', `file://${cache}`, 'thing', '--sources'];
    const poor = await cli.run(...push);
    expect(poor).toMatchObject({ code: 0, stderr: '' });
    const packages = await putPackages(store, project);
    expect(poor.stdout.match(/^left out: \S+\.deb of the image base: it is neither in the store/gm)).toHaveLength(
      packages,
    );
    const rich = await cli.run(...push);
    expect(rich).toMatchObject({ code: 0, stderr: '' });
    expect(rich.stdout).not.toContain('left out');
    expect(readdirSync(join(cache, 'sources'))).toHaveLength(packages + 1);

    // Packages that no statement names are kept for the target, and nothing else is.
    const stray = join(cache, 'sources', sha256('of nothing'));
    writeFileSync(stray, 'of nothing');
    const care = [`file://${cache}`, 'thing'] as const;
    expect(await cli.run('cache', 'gc', ...care, '--grace', '0s', '--no-writers')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^1 file removed/m) as unknown,
    });
    expect(existsSync(stray)).toBe(false);
    expect(await cli.run('cache', 'check', ...care)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`checked ${packages + 2} objects`) as unknown,
    });

    // No store, nobody whom it trusts, and no network.
    const other = await cliFor(project, (await openStore(await temporary())).layout.root);
    const from = ['--substituter', `file://${cache}`, '--executor', 'namespace', '--json'];
    const without = await other.runWithoutNetwork('realize', 'thing', '--executor', 'namespace', '--offline');
    expect(without.stderr).toContain('error SOURCE_UNAVAILABLE');
    const rebuilt = await other.runWithoutNetwork('realize', 'thing', ...from);
    expect(rebuilt).toMatchObject({ code: 0 });
    expect(rebuilt.stdout).toContain('"type":"transfer-started","what":"image"');
    expect(rebuilt.stdout).toContain('"type":"step-started","target":"thing"');
    expect(rebuilt.stdout).toMatch(new RegExp(`"type":"result","target":"thing".*"artifact":"${artifact}"`));
    expect(await other.run('store', 'check')).toMatchObject({ code: 0 });
  });
});
