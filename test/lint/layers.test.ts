import { spawnSync } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

/** The layers of ARCHITECTURE.md from the top down; those in one line do not know each other. */
const LAYERS = [
  ['model'],
  ['formats'],
  ['io'],
  ['store'],
  ['fetchers', 'images', 'executors', 'substituters', 'attest'],
  ['build'],
  ['firmware'],
  ['cli'],
];
const FOLDERS = LAYERS.flat();
const level = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder));

function isForbidden(from: string, to: string): boolean {
  return from !== to && level(to) >= level(from);
}

/** A tree with one file for each pair of folders, in which the first imports the second. */
async function plant(pairs: readonly (readonly [string, string])[]): Promise<string> {
  const root = await temporary();
  await cp(join(REPOSITORY, '.oxlintrc.json'), join(root, '.oxlintrc.json'));
  await symlink(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'));
  for (const folder of FOLDERS) {
    await mkdir(join(root, 'src', folder, 'deep'), { recursive: true });
    await writeFile(join(root, 'src', folder, 'thing.ts'), 'export const thing = 1;\n');
  }
  for (const [from, to] of pairs) {
    await writeFile(
      join(root, 'src', from, `from-${to}.ts`),
      `import { thing } from '../${to}/thing.ts';\nexport const other = thing;\n`,
    );
    await writeFile(
      join(root, 'src', from, 'deep', `from-${to}.ts`),
      `export { thing } from '../../${to}/thing.ts';\n`,
    );
  }
  return root;
}

/** Files in which the linter finds an import that the layers forbid. */
function reported(root: string): readonly string[] {
  const oxlint = join(REPOSITORY, 'node_modules', '.bin', 'oxlint');
  const { stdout } = spawnSync(oxlint, ['--format', 'json', 'src'], { cwd: root, maxBuffer: 1 << 26 });
  const { diagnostics } = JSON.parse(stdout.toString()) as { diagnostics: { code: string; filename: string }[] };
  const found = diagnostics
    .filter(({ code }) => code.includes('no-restricted-imports'))
    .map(({ filename }) => filename);
  return [...new Set(found)].sort();
}

const pairs = FOLDERS.flatMap((from) => FOLDERS.map((to) => [from, to] as const));

describe('the lint rule of the layers', () => {
  it('fires for every import that a layer must not have, at any depth', async () => {
    const forbidden = pairs.filter(([from, to]) => isForbidden(from, to));
    const expected = forbidden.flatMap(([from, to]) => [`src/${from}/deep/from-${to}.ts`, `src/${from}/from-${to}.ts`]);
    expect(reported(await plant(forbidden))).toEqual(expected.sort());
  });

  it('does not fire for any import that a layer may have', async () => {
    const allowed = pairs.filter(([from, to]) => !isForbidden(from, to));
    expect(allowed.length).toBeGreaterThan(FOLDERS.length);
    expect(reported(await plant(allowed))).toEqual([]);
  });

  it('has nothing to say about the source tree', () => {
    expect(reported(REPOSITORY)).toEqual([]);
  });
});
