import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VmbuildError } from '../../src/model/errors.ts';
import { cliFor } from '../cli/cli.ts';
import {
  buildSuite,
  cannotBuild,
  type Fixture,
  fixture,
  REPOSITORY,
  run,
  scriptRecipe,
  storeWithImage,
} from '../support/fixture.ts';

const BUILD = await readFile(join(REPOSITORY, 'recipes', 'rom', 'build.sh'), 'utf8');

/** 64 KiB, of which the first half is erased and the last 16 bytes are code; 1000 bytes of the rest are empty. */
const ROM = `head -c 65536 /dev/zero | tr '\\0' '\\377' >/out/coreboot.rom
printf 'code' | dd of=/out/coreboot.rom bs=1 seek=65520 conv=notrunc status=none
echo "'COREBOOT' (CBFS, size 32768, offset 32768)" >/out/flashmap.txt
echo '(empty)  0x59b9c0   null          1000 none' >/out/cbfs.txt`;

const LACKS = 'fsp\tmay-be-shared\tthe FSP\tgithub.com; or a disk\tabc\nme\tstays-local, optional\tthe ME\ta dump\t';

/** A project with the real build.sh of recipes/rom, and something that looks like coreboot's artifact. */
async function project(env: Readonly<Record<string, string>> = {}, coreboot = ROM): Promise<Fixture> {
  return fixture({
    'built/recipe.ts': scriptRecipe(coreboot),
    'image/build.sh': BUILD,
    'image/recipe.ts': scriptRecipe('', {
      inputs: { coreboot: 'built' },
      files: ['build.sh'],
      env: { PLATFORM: 'board', FLASH_SIZE: '65536', FLASH_TAKEN: '32768', FLASH_BUDGET: '32768', ...env },
      command: ['bash', '/recipe/build.sh'],
      lacks:
        env['LACKS'] === undefined
          ? undefined
          : { fsp: { what: 'the FSP', licence: 'may-be-shared', from: ['github.com'], fills: { cbfs: ['fspm.bin'] } } },
    }),
  });
}

async function logOf(env: Readonly<Record<string, string>>, coreboot?: string): Promise<string> {
  const error: unknown = await run(await project(env, coreboot), ['image'], { store: await storeWithImage() }).catch(
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof VmbuildError)) throw new Error(`expected a VmbuildError, got ${String(error)}`);
  expect(error).toMatchObject({ code: 'BUILD_FAILED', step: 'image' });
  return error.excerpt.join('\n');
}

describe.skipIf(cannotBuild !== undefined)(buildSuite('the recipe rom'), () => {
  it('hands over a complete image under its name', async () => {
    const { results } = await run(await project(), ['image'], { store: await storeWithImage() });
    const files = results.at(-1)?.statement.subject.map(({ name }) => name);
    expect(files?.slice(1).sort()).toEqual(['layout.txt', 'vmboot-board.rom']);
  });

  it('says of an image without its blobs in its name, beside it, and wherever it is shown, that it is not to be flashed', async () => {
    const cli = await cliFor(await project({ LACKS }));
    const { code, stdout } = await cli.run('realize', 'image');
    expect(code).toBe(0);
    expect(stdout).toContain('vmboot-board-without-blobs.rom');
    expect(stdout).toContain('  NOT TO BE FLASHED as it is: it lacks fsp;');
    const path = /^ {2}(\/\S+NOT-FLASHABLE\.txt)$/m.exec(stdout)?.[1] ?? '';
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(/^NOT TO BE FLASHED\n/);
    expect(text).toContain('fsp (may-be-shared)\n  the FSP\n  from: github.com; or a disk\n  sha256: abc\n');
    expect(text).toMatch(/me \(stays-local, optional\)\n {2}the ME\n {2}from: a dump\n$/);

    const lacks = { fsp: { licence: 'may-be-shared', fills: { cbfs: ['fspm.bin'] } } };
    const lines = (await cli.run('realize', 'image', '--json')).stdout.trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'result', lacks });
    expect(JSON.parse((await cli.run('show', 'image', '--json')).stdout)).toMatchObject({ lacks });
    const shown = (await cli.run('show', 'image')).stdout;
    expect(shown).toContain('NOT TO BE FLASHED as it is:\n  fsp (may-be-shared): the FSP\n    github.com\n');
    // Several lines of environment would break the table.
    expect(shown).toMatch(/^env +LACKS=… \(2 lines\)$/m);
  });

  it.each([
    [
      'an image of another size than the chip',
      { FLASH_SIZE: '65537' },
      /has 65536 bytes, the flash chip of board has 65537/,
    ],
    ['something in the vendor’s share', { FLASH_TAKEN: '65530' }, /in the first 65530 bytes, which are the vendor's/],
    ['more used than the budget', { FLASH_BUDGET: '31767' }, /31768 bytes are used, the budget is 31767/],
  ])('refuses %s', async (_what, env, message) => {
    expect(await logOf(env)).toMatch(message);
  });

  it('refuses an image without a reset vector', async () => {
    expect(await logOf({}, `${ROM}\nhead -c 65536 /dev/zero | tr '\\0' '\\377' >/out/coreboot.rom`)).toMatch(
      /the image has no reset vector/,
    );
  });
});
