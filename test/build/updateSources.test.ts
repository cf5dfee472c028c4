import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type SourceUpdate, writeSourceDigests } from '../../src/build/updateSources.ts';
import { sha256 } from '../../src/model/digest.ts';
import { temporary } from '../support/temporary.ts';

const OLD = sha256('old');
const NEW = sha256('new');
const UPDATE: SourceUpdate = { mount: 's', name: 's.tar.xz', from: OLD, to: NEW, size: undefined };

async function recipe(text: string): Promise<string> {
  const file = join(await temporary(), 'recipe.ts');
  await writeFile(file, text);
  return file;
}

describe('writeSourceDigests', () => {
  it('puts the new digest and size where the old ones stood, and changes nothing else', async () => {
    const file = await recipe(`// 12 of 1234\n{ sha256: '${OLD}', size: 21_685_860 }\n`);
    await writeSourceDigests(file, [
      { ...UPDATE, size: { from: 21_685_860, to: 7 } },
      { ...UPDATE, mount: 'unchanged', from: NEW, to: NEW },
    ]);
    expect(await readFile(file, 'utf8')).toBe(`// 12 of 1234\n{ sha256: '${NEW}', size: 7 }\n`);
  });

  it('puts them into a module that recipes share, and leaves the recipe alone', async () => {
    const folder = await temporary();
    const [file, shared] = [join(folder, 'recipe.ts'), join(folder, 'shared.ts')];
    await writeFile(shared, `export const source = { sha256: '${OLD}', size: 1_000 };\n`);
    const text = `import { source } from './shared.ts';\nconst other = 1_000;\n`;
    await writeFile(file, text);
    await writeSourceDigests(file, [{ ...UPDATE, size: { from: 1000, to: 2000 } }]);
    expect(await readFile(shared, 'utf8')).toBe(`export const source = { sha256: '${NEW}', size: 2000 };\n`);
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it('writes nothing if the recipe and a shared module both have the old digest', async () => {
    const folder = await temporary();
    const [file, shared] = [join(folder, 'recipe.ts'), join(folder, 'shared.ts')];
    await writeFile(shared, `export const digest = '${OLD}';\n`);
    await writeFile(file, `import { digest } from './shared.ts';\nconst same = '${OLD}';\n`);
    await expect(writeSourceDigests(file, [UPDATE])).rejects.toThrow(/stands there 2 times/);
    expect(await readFile(shared, 'utf8')).toContain(OLD);
  });

  it.each([
    ['not at all', `const a = 'nothing';`],
    ['twice', `const a = '${OLD}', b = '${OLD}';`],
  ])('writes nothing if the old digest stands there %s', async (_how, text) => {
    const file = await recipe(text);
    await expect(writeSourceDigests(file, [UPDATE])).rejects.toMatchObject({
      code: 'RECIPE_INVALID',
      hints: [expect.stringContaining(NEW) as unknown],
    });
    expect(await readFile(file, 'utf8')).toBe(text);
  });
});
