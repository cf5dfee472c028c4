import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEvaluator } from '../../src/build/evaluate.ts';
import { createImageCatalog } from '../../src/build/images.ts';
import { openProject } from '../../src/build/project.ts';
import { writeRecipeFiles } from '../../src/build/recipeFiles.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

const ZEROS = '0'.repeat(64);

/** A recipe.ts with fields of its own, as JavaScript text. */
function recipeText(fields: string): string {
  return `import { defineRecipe } from 'vmbuild';
export default defineRecipe({ description: 'x', image: 'base', command: ['true'], ${fields} });\n`;
}

describe('a wrong recipe is refused before anything runs, with file and field', () => {
  it.each([
    ['an unknown input', "inputs: { a: 'nobody' }", 'RECIPE_NOT_FOUND', /one\/recipe\.ts: inputs\.a: .*"nobody"/],
    [
      'a missing file',
      "files: ['build.sh']",
      'RECIPE_INVALID',
      /one\/recipe\.ts: files\.0: .*build\.sh does not exist/,
    ],
    ['a folder as file', "files: ['sub']", 'RECIPE_INVALID', /files\.0: .*sub is a folder/],
    ['a file outside', "files: ['../two/x']", 'RECIPE_INVALID', /files\.0: must be a relative path/],
    ['an absolute file', "files: ['/etc/passwd']", 'RECIPE_INVALID', /files\.0/],
    ['a file twice', "files: ['recipe.ts', 'recipe.ts']", 'RECIPE_INVALID', /files\.1: .*declared twice/],
    [
      'a bad digest',
      "sources: { s: { type: 'debian', path: 'pool/x', sha256: 'ABC' } }",
      'RECIPE_INVALID',
      /sources\.s\.sha256: must be a sha256 digest/,
    ],
    [
      'a source and an input of one name',
      `inputs: { a: 'two' }, sources: { a: { type: 'debian', path: 'pool/x', sha256: '${ZEROS}' } }`,
      'RECIPE_INVALID',
      /sources\.a: is the name of an input/,
    ],
    ['an unknown image', "image: 'nothing'", 'RECIPE_INVALID', /image: there is no image "nothing"/],
    ['an unknown field', 'colour: 1', 'RECIPE_INVALID', /colour/],
    ['a reserved variable', "env: { HOME: '/' }", 'RECIPE_INVALID', /env\.HOME: is set by the sandbox/],
    ['a bad variable name', "env: { 'A B': '1' }", 'RECIPE_INVALID', /env\.A B/],
    ['a bad mount name', "inputs: { '../x': 'two' }", 'RECIPE_INVALID', /inputs/],
    ['an empty command', 'command: []', 'RECIPE_INVALID', /command/],
    ['a command that is an assignment', "command: ['A=b']", 'RECIPE_INVALID', /command: must begin with a program/],
    [
      'an https source without digest',
      "sources: { s: { type: 'https', urls: ['https://example.org/x'] } }",
      'RECIPE_INVALID',
      /sources\.s: needs either sha256 or integrity/,
    ],
    [
      'a weak integrity string',
      "sources: { s: { type: 'https', urls: ['https://example.org/x'], integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' } }",
      'RECIPE_INVALID',
      /integrity must be one sha256/,
    ],
    [
      'a missing go.sum',
      `sources: { s: { type: 'gomod', sum: 'go.sum', tree: '${ZEROS}' } }`,
      'RECIPE_INVALID',
      /go\.sum/,
    ],
  ])('%s', async (_what, fields, code, message) => {
    const project = await fixture({
      'one/recipe.ts': recipeText(fields),
      'one/sub/x': '',
      'two/recipe.ts': recipeText(''),
      'two/x': '',
    });
    await expect(project.evaluator().evaluate('one')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    });
  });

  it('a cycle', async () => {
    const project = await fixture({
      'a/recipe.ts': recipeText("inputs: { b: 'b' }"),
      'b/recipe.ts': recipeText("inputs: { c: 'c' }"),
      'c/recipe.ts': recipeText("inputs: { b: 'b' }"),
    });
    await expect(project.evaluator().evaluate('a')).rejects.toMatchObject({
      code: 'RECIPE_CYCLE',
      message: expect.stringMatching(
        /c\/recipe\.ts: inputs\.b: inputs: .*b → c → b|c\/recipe\.ts: inputs\.b.*b → c → b/,
      ) as unknown,
    });
  });

  it('a module that does not load', async () => {
    const project = await fixture({ 'a/recipe.ts': 'throw new Error("boom");' });
    await expect(project.evaluator().evaluate('a')).rejects.toThrow(/a\/recipe\.ts cannot be loaded: boom/);
  });

  it('a module without a recipe', async () => {
    const project = await fixture({ 'a/recipe.ts': 'export default 1;' });
    await expect(project.evaluator().evaluate('a')).rejects.toThrow(/a\/recipe\.ts: default export/);
  });

  it('a name that two roots define', async () => {
    const one = await fixture({ 'a/recipe.ts': recipeText('') });
    const two = await fixture({ 'a/recipe.ts': recipeText('') });
    const roots = [one.root, two.root];
    const evaluator = createEvaluator(openProject(roots), createImageCatalog(roots));
    await expect(evaluator.evaluate('a')).rejects.toMatchObject({ code: 'RECIPE_DUPLICATE' });
  });

  it('a name that a recipe and a platform recipe claim', async () => {
    const project = await fixture({
      'rom/recipe.ts': recipeText(''),
      'rom-q35/recipe.ts': recipeText(''),
      'platforms/q35/platform.ts': 'export default {};',
    });
    await expect(project.evaluator().evaluate('rom-q35')).rejects.toMatchObject({ code: 'RECIPE_DUPLICATE' });
  });

  it('a file that is a link to the outside', async () => {
    const project = await fixture({ 'one/recipe.ts': recipeText("files: ['passwd']") });
    await symlink('/etc/passwd', join(project.root.recipes, 'one', 'passwd'));
    await expect(project.evaluator().evaluate('one')).rejects.toThrow(/leads out of the folder of recipes/);
  });

  it('an image whose lock does not fit its wishes', async () => {
    const project = await fixture({ 'one/recipe.ts': recipeText('') });
    const { writeFile } = await import('node:fs/promises');
    const wishes = { suite: 'bookworm', components: ['main'], packages: ['xz-utils', 'gcc'] };
    await writeFile(join(project.root.images, 'base', 'image.json'), JSON.stringify(wishes));
    await expect(project.evaluator().evaluate('one')).rejects.toMatchObject({ code: 'IMAGE_NOT_LOCKED' });
  });
});

describe('evaluation', () => {
  const files = {
    'low/recipe.ts': recipeText("files: ['build.sh', 'sub/data']"),
    'low/build.sh': '#!/bin/bash\n',
    'low/sub/data': 'data',
    'top/recipe.ts': recipeText("inputs: { low: 'low' }"),
  };

  it('gives the same hashes in another folder, time zone and environment', async () => {
    const one = await (await fixture(files)).evaluator().evaluate('top');
    const before = { TZ: process.env['TZ'], HOME: process.env['HOME'] };
    process.env['TZ'] = 'Pacific/Kiritimati';
    process.env['HOME'] = '/nowhere';
    try {
      expect((await (await fixture(files)).evaluator().evaluate('top')).hash).toBe(one.hash);
    } finally {
      Object.assign(process.env, before);
      if (before.TZ === undefined) delete process.env['TZ'];
    }
  });

  it('notices a changed file of an input in the derivation hash', async () => {
    const one = await (await fixture(files)).evaluator().evaluate('top');
    const two = await (await fixture({ ...files, 'low/sub/data': 'DATA' })).evaluator().evaluate('top');
    expect(two.hash).not.toBe(one.hash);
  });

  it('notices neither the description nor undeclared files', async () => {
    const one = await (await fixture(files)).evaluator().evaluate('low');
    const recipe = files['low/recipe.ts'].replace("description: 'x'", "description: 'y'");
    const other = { ...files, 'low/recipe.ts': recipe, 'low/notes.txt': 'a note' };
    expect((await (await fixture(other)).evaluator().evaluate('low')).hash).toBe(one.hash);
  });

  it('names the recipe files by the digest of the folder that a step will see', async () => {
    const step = await (await fixture(files)).evaluator().evaluate('low');
    const folder = await temporary();
    writeRecipeFiles(step.files, folder);
    expect(step.files.digest).toBe(treeDigest(folder, listTree(folder)));
    expect(listTree(folder).map(({ path, mode }) => [path, mode])).toEqual([
      ['', 0o755],
      ['build.sh', 0o755],
      ['sub', 0o755],
      ['sub/data', 0o644],
    ]);
  });

  it('makes a target of each platform', async () => {
    const project = await fixture({
      'kernel/recipe.ts': `import { definePlatformRecipe } from 'vmbuild';
export default definePlatformRecipe((platform) => ({ description: 'x', image: 'base', command: ['true'],
  env: { SIZE: String(platform.flash.size) }, files: [platform.file('config')] }));`,
      'platforms/one/platform.ts': `import { definePlatform } from 'vmbuild';
export default definePlatform({ description: 'x', flash: { size: 2, budget: 1 }, kernelCommandLine: '' });`,
      'platforms/one/config': 'y',
    });
    const step = await project.evaluator().evaluate('kernel-one');
    expect(step.derivation.env).toEqual({ SIZE: '2' });
    expect(step.files.files.map((file) => file.path)).toEqual(['platform/config']);
    expect(await openProject([project.root]).targets()).toEqual(['kernel-one']);
    await expect(project.evaluator().evaluate('kernel')).rejects.toMatchObject({ code: 'RECIPE_NOT_FOUND' });
  });

  it('builds a board of one folder of recipes with the recipes of another', async () => {
    const ours = await fixture({
      'kernel/recipe.ts': `import { definePlatformRecipe } from 'vmbuild';
export default definePlatformRecipe((platform) => ({ description: 'x', image: 'base', command: ['true'],
  files: ['build.sh', platform.file('config')] }));`,
      'kernel/build.sh': '',
    });
    const theirs = await fixture({
      'platforms/board/platform.ts': `import { definePlatform } from 'vmbuild';
export default definePlatform({ description: 'x', flash: { size: 2, budget: 1 }, kernelCommandLine: '' });`,
      'platforms/board/config': 'y',
    });
    const roots = [theirs.root, ours.root];
    const step = await createEvaluator(openProject(roots), createImageCatalog(roots)).evaluate('kernel-board');
    expect(step.files.files.map(({ path }) => path)).toEqual(['build.sh', 'platform/config']);
  });

  it('takes the image of the own folder of recipes, whatever the others call theirs', async () => {
    const [one, two] = [await fixture(files), await fixture({ 'mine/recipe.ts': recipeText('') })];
    const { readFile, writeFile } = await import('node:fs/promises');
    const lock = join(two.root.images, 'base', 'lock.json');
    const other = 'f'.repeat(64);
    await writeFile(lock, (await readFile(lock, 'utf8')).replace(/"digest": "[0-9a-f]{64}"/, `"digest": "${other}"`));
    const roots = [two.root, one.root];
    const evaluator = createEvaluator(openProject(roots), createImageCatalog(roots));
    expect((await evaluator.evaluate('mine')).image.digest).toBe(other);
    expect((await evaluator.evaluate('top')).image.digest).not.toBe(other);
  });

  it('loads only what a target needs', async () => {
    const project = await fixture({
      ...files,
      'broken/recipe.ts': 'this is no TypeScript',
      'other/recipe.ts': scriptRecipe('true'),
    });
    await expect(project.evaluator().evaluate('top')).resolves.toBeDefined();
  });
});
