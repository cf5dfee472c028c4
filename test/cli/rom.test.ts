import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import { boardProject, platformRecipe } from '../support/boardProject.ts';
import { expectAgreement, type JsonPart } from '../support/cbfstool.ts';
import { buildSuite, cannotBuild, type Fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { type TestRom, testRom } from '../support/testRom.ts';
import { type Cli, cliFor } from './cli.ts';

const OWN = { fspSize: 16384, microcodeSizes: [2048, 1024] };
const hasCbfstool = spawnSync('cbfstool', ['--help']).error === undefined;

/** A board, and a recipe `image` for it whose artifact is `options`' image. */
async function project(options: TestRom = OWN): Promise<Fixture> {
  const made = await boardProject();
  await made.write(
    'image/recipe.ts',
    platformRecipe({ files: ['test.rom'], command: ['cp', '/recipe/test.rom', '/out/'] }),
  );
  await setImage(made, options);
  return made;
}

async function setImage(made: Fixture, options: TestRom): Promise<void> {
  await writeFile(join(made.root.recipes, 'image', 'test.rom'), testRom(options));
}

async function realised(options?: TestRom): Promise<{ readonly cli: Cli; readonly made: Fixture }> {
  const made = await project(options);
  const cli = await cliFor(made);
  expect((await cli.run('realize', 'image-board')).code).toBe(0);
  return { cli, made };
}

async function file(content: Uint8Array): Promise<string> {
  const path = join(await temporary(), 'dump.bin');
  await writeFile(path, content);
  return path;
}

describe('vmbuild inspect', () => {
  it('of a file shows the tree, and what is wrong with it', async () => {
    const cli = await cliFor(await project());
    const image = testRom(OWN);
    image.write('broken', image.indexOf('_FVH'));
    const { code, stdout } = await cli.run('inspect', await file(image), '--platform', 'board');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dump\.bin +512\.0 KiB {2}flash map FLASH/);
    expect(stdout).toMatch(/│ ├ initramfs|│ └ initramfs/);
    expect(stdout).toMatch(/! the FSP component at 0x0|! there is no firmware volume/);
    expect(stdout).toContain(`sha256  ${sha256(image)}`);
    expect(stdout).toMatch(/masked {2}[0-9a-f]{64}\nflash:\n {2}chip +524288/);
  });

  it('says what is no image, and what there is not', async () => {
    const cli = await cliFor(await project());
    const missing = await cli.run('inspect', './nothing.rom');
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('nothing.rom cannot be read')]);
    const folder = await cli.run('inspect', await temporary());
    expect([folder.code, folder.stderr]).toEqual([2, expect.stringContaining('is a folder')]);
    const digest = await cli.run('inspect', 'ab'.repeat(32));
    expect([digest.code, digest.stderr]).toEqual([4, expect.stringContaining('the store has no artifact')]);
    const target = await cli.run('inspect', 'image-board');
    expect([target.code, target.stderr]).toEqual([4, expect.stringContaining('vmbuild realize image-board')]);
    const platform = await cli.run('inspect', await file(testRom()), '--platform', 'none');
    expect([platform.code, platform.stderr]).toEqual([2, expect.stringContaining('no platform is called none')]);
  });

  it('takes names that could play tricks with a terminal or a page for what they are', async () => {
    const cli = await cliFor(await project());
    const page = join(await temporary(), 'page.html');
    const path = await file(testRom({ commandLine: '<script>\x1b[31m' }));
    const { stdout } = await cli.run('inspect', path, '--html', page);
    expect(stdout).not.toContain('\x1b');
    expect(stdout).toContain('<script>');
    const html = await readFile(page, 'utf8');
    expect(html).not.toContain('<script>');
    expect(html).toContain('&lt;script&gt;');
  });

  describe.skipIf(cannotBuild !== undefined)(buildSuite('of what the store has'), () => {
    it('knows the recipe, by the target and by the artifact', async () => {
      const { cli } = await realised();
      const byTarget = JSON.parse((await cli.run('inspect', 'image-board', '--json')).stdout);
      expect(byTarget).toMatchObject({ format: 1, target: 'image-board', platform: 'board', use: { budget: 100_000 } });
      expect(byTarget.root.from).toEqual({ target: 'image-board', file: 'test.rom' });
      const byDigest = JSON.parse((await cli.run('inspect', byTarget.artifact, '--json')).stdout);
      expect(byDigest).toEqual(byTarget);
    });

    it('draws a page that needs nothing else, with a map to scale', async () => {
      const { cli } = await realised();
      const page = join(await temporary(), 'page.html');
      expect((await cli.run('inspect', 'image-board', '--html', page)).code).toBe(0);
      const html = await readFile(page, 'utf8');
      expect(html).not.toMatch(/(src|href)="(?!#)|@import|url\((?!#)/);
      expect(html).toMatch(/budget 97\.7 KiB: \d/);
      // Rectangles of the map that show the FSP and the free room have areas in proportion to their bytes.
      const map = html.slice(html.indexOf('To scale'), html.indexOf('<h2>Parts'));
      const area = (name: string): number => {
        const cell = new RegExp(`width="([\\d.]+)" height="([\\d.]+)"><title>${name}\n`).exec(map.replaceAll('\r', ''));
        return Number(cell?.[1]) * Number(cell?.[2]);
      };
      expect(area('06-9e-0a') / area('06-9e-0a #2')).toBeCloseTo(2, 1);
    });

    it('refuses to write where it cannot', async () => {
      const { cli } = await realised();
      const { code, stderr } = await cli.run('inspect', 'image-board', '--html', '/nowhere/page.html');
      expect([code, stderr]).toEqual([2, expect.stringContaining('/nowhere/page.html cannot be written')]);
    });
  });

  it.skipIf(!hasCbfstool)(
    hasCbfstool ? 'agrees with cbfstool' : 'agrees with cbfstool (skipped: cbfstool is not installed)',
    async () => {
      const cli = await cliFor(await project());
      const path = await file(testRom(OWN));
      const { root } = JSON.parse((await cli.run('inspect', path, '--json')).stdout) as { root: JsonPart };
      expectAgreement(root, path, 'cbfstool');
    },
  );
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild diff'), () => {
  it('names the recipe that made the part that differs', async () => {
    const made = await project();
    const stage = 'romstage '.repeat(100);
    await made.write('stage/recipe.ts', scriptRecipe('cp /recipe/stage.bin /out/', { files: ['stage.bin'] }));
    await made.write('stage/stage.bin', stage);
    await made.write(
      'image/recipe.ts',
      platformRecipe({
        files: ['test.rom'],
        inputs: { stage: 'stage' },
        command: ['cp', '/recipe/test.rom', '/out/'],
      }),
    );
    const cli = await cliFor(made);
    const realise = async (options: TestRom): Promise<string> => {
      await setImage(made, options);
      expect((await cli.run('realize', 'image-board')).code).toBe(0);
      return JSON.parse((await cli.run('inspect', 'image-board', '--json')).stdout).artifact as string;
    };
    const before = await realise({ stage: Buffer.from(stage), init: 'one' });
    const after = await realise({ stage: Buffer.from(stage.replace('r', 'R')), init: 'two' });

    const { code, stdout } = await cli.run('diff', before, after);
    expect(code).toBe(5);
    expect(stdout).toMatch(/→ fallback\/romstage: changed: .*; produced by recipe stage\n/);
    // Nobody's file has these bytes, so it was made where the whole image was.
    expect(stdout).toMatch(/→ init: changed: .*; produced by recipe image-board\n/);
    const lines = (await cli.run('diff', before, after, '--json')).stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).producer)).toEqual(
      expect.arrayContaining([{ target: 'stage', file: 'stage.bin' }]),
    );
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild compare'), () => {
  it('tells by its exit code what the chip holds', async () => {
    const { cli } = await realised();
    const compare = async (dump: TestRom, ...more: string[]) =>
      cli.run('compare', await file(testRom(dump)), 'image-board', ...more);
    const same = await compare(OWN);
    expect([same.code, same.stdout]).toEqual([0, 'same: dump.bin is image-board, every byte of it\n']);

    const run = await compare({ ...OWN, me: 'ME', mrcCache: 'trained' });
    expect(run.code).toBe(9);
    expect(run.stdout).toMatch(/^same but for what is set apart/);
    expect(run.stdout).toMatch(/changed +SI_ALL › SI_ME .*\(vendor blob me\)/);

    const other = await compare({ ...OWN, me: 'ME', init: '#!/bin/bb\n' });
    expect(other.code).toBe(10);
    expect(other.stdout).toMatch(/^different: dump\.bin is not image-board: 1 difference\n/);
    expect(other.stdout).toMatch(/changed +SI_BIOS › COREBOOT › fallback\/payload › initramfs › init +2 of 10 bytes/);

    const json = await compare({ ...OWN, init: '#!/bin/bb\n' }, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      format: 1,
      verdict: 'different',
      image: { target: 'image-board' },
      differences: [{ change: 'changed', path: ['SI_BIOS', 'COREBOOT', 'fallback/payload', 'initramfs', 'init'] }],
    });
  });

  it('says that a dump is cut off', async () => {
    const { cli } = await realised();
    const { code, stdout } = await cli.run('compare', await file(testRom(OWN).subarray(0, 5000)), 'image-board');
    expect(code).toBe(10);
    expect(stdout).toMatch(/it has 5000 bytes and not 524288: it is cut off, or of another board/);
  });

  it('of two files says how to set blobs apart', async () => {
    const { cli } = await realised();
    const [dump, image] = [await file(testRom({ ...OWN, fspSize: 24576 })), await file(testRom(OWN))];
    const plain = await cli.run('compare', dump, image);
    expect(plain.code).toBe(10);
    expect((await cli.run('compare', dump, image, '--platform', 'board')).code).toBe(9);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild size'), () => {
  it('compares with the last other result of the target', async () => {
    const { cli, made } = await realised();
    const first = await cli.run('size', 'image-board');
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining('no result before this one')]);
    await setImage(made, { ...OWN, fspSize: 24576 });
    expect((await cli.run('realize', 'image-board')).code).toBe(0);
    const { code, stdout } = await cli.run('size', 'image-board');
    expect(code).toBe(0);
    expect(stdout).toMatch(/fspm\.bin +24612 +24\.6 % +\+8192 +vendor blob fsp/);
    expect(stdout).toMatch(/since image-board [0-9a-f]{12}:\n +\+8192 {2}SI_BIOS › COREBOOT › fspm\.bin\n/);
    const json = JSON.parse((await cli.run('size', 'image-board', '--json')).stdout);
    expect(json).toMatchObject({
      format: 1,
      before: { target: 'image-board' },
      grown: [{ before: 16420, after: 24612 }],
    });
    const against = await cli.run('size', 'image-board', '--against', json.artifact);
    expect(against.stdout).toContain('nothing has another size');
  });
});
