import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { maskedDigest } from '../../src/firmware/masked.ts';
import { type Part, walk } from '../../src/firmware/parts/part.ts';
import { readRom } from '../../src/firmware/parts/readRom.ts';
import { type Cli, cliFor } from '../cli/cli.ts';
import { boardProject, platformRecipe } from '../support/boardProject.ts';
import { findCorebootTools } from '../support/corebootTools.ts';
import { fspComponent, microcodeUpdate } from '../support/firmware.ts';
import { buildSuite, cannotBuild, REPOSITORY } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { BIOS, CHIP, SLOTS, testRom } from '../support/testRom.ts';

/** They run in the image `base`: they need nothing but a C library. */
const tools = await findCorebootTools();
const TITLE = 'the recipe flash';
const title =
  tools === undefined ? `${TITLE} (skipped: cbfstool, ifittool or ifdtool is not installed)` : buildSuite(TITLE);

const MICROCODE = microcodeUpdate(2048, [[0x906ea, 0x22]]);

/** A project with the real build.sh of recipes/flash, the tools, and an image without blobs. */
async function board(): Promise<Cli> {
  const made = await boardProject();
  await made.write('stitch/build.sh', await readFile(join(REPOSITORY, 'recipes', 'flash', 'build.sh'), 'utf8'));
  const env = { PLATFORM: 'board', FLASH_SIZE: String(CHIP), BIOS_OFFSET: String(BIOS), PROCESSORS: '' };
  const inputs = { rom: 'open-board', tools: 'tools-board' };
  const command = ['bash', '/recipe/build.sh'];
  await made.write('stitch/recipe.ts', platformRecipe({ inputs, env, files: ['build.sh'], command }, true));
  const copy = { command: ['bash', '-c', 'cp /recipe/* /out'] };
  await made.write('open/recipe.ts', platformRecipe({ ...copy, files: ['vmboot-board-without-blobs.rom'] }));
  await writeFile(join(made.root.recipes, 'open', 'vmboot-board-without-blobs.rom'), testRom());
  await made.write(
    'tools/recipe.ts',
    platformRecipe({
      command: ['bash', '-c', 'cp /recipe/* /out; chmod 755 /out/*'],
      files: Object.keys(tools?.paths ?? {}),
    }),
  );
  for (const [tool, path] of Object.entries(tools?.paths ?? {}))
    await copyFile(path, join(made.root.recipes, 'tools', tool));
  return cliFor(made);
}

async function add(cli: Cli, name: string, content: Uint8Array): Promise<void> {
  const path = join(await temporary(), name);
  await writeFile(path, content);
  expect(await cli.run('blob', 'add', 'board', path)).toMatchObject({ code: 0, stderr: '' });
}

interface Stitched {
  readonly name: string;
  readonly masked: string;
  readonly image: Buffer;
}

async function stitch(cli: Cli): Promise<Stitched> {
  const { code, stdout, stderr } = await cli.run('realize', 'stitch-board', '--json');
  expect([code, stderr]).toEqual([0, '']);
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
    readonly path: string;
    readonly masked: string;
    readonly files: readonly { readonly name: string }[];
  };
  const name = result.files.find((file) => file.name.endsWith('.rom'))?.name ?? '';
  return { name, masked: result.masked, image: await readFile(join(result.path, name)) };
}

function part(image: Buffer, name: string): Part | undefined {
  return [...walk(readRom(image, 'rom'))].find((one) => one.part.name === name)?.part;
}

describe.skipIf(cannotBuild !== undefined || tools === undefined)(title, () => {
  it('puts blobs of any size into the image, whose masked digest stays that of the image without', async () => {
    const cli = await board();
    const open = maskedDigest(testRom(), SLOTS);
    await add(cli, 'Fsp.fd', fspComponent('M', 16384, Buffer.alloc(2000, 3)));
    await add(cli, 'microcode.bin', MICROCODE);
    const small = await stitch(cli);
    expect([small.name, small.masked]).toEqual(['vmboot-board-bios-region.rom', open]);
    expect(part(small.image, 'fspm.bin')?.facts).toMatchObject({ component: 'FSP-M' });
    expect(part(small.image, 'cpu_microcode_blob.bin')?.content.length).toBe(2048);
    expect(part(small.image, 'intel_fit')?.facts['entries']).toBe(1);
    expect([...walk(readRom(small.image, 'rom'))].flatMap((one) => one.part.problems)).toEqual([]);

    await add(cli, 'Fsp.fd', fspComponent('M', 32768, Buffer.alloc(9000, 4)));
    await add(cli, 'microcode.bin', Buffer.concat([MICROCODE, microcodeUpdate(4096, [[0x906ea, 0x02]])]));
    const large = await stitch(cli);
    expect(large.masked).toBe(open);
    expect(large.image.equals(small.image)).toBe(false);
  });

  it.skipIf(tools?.ours !== true)(
    tools?.ours === true
      ? 'puts the regions of a dump in, and leaves ours as it is'
      : 'puts the regions of a dump in, and leaves ours as it is (skipped: the store has no coreboot-tools)',
    async () => {
      const cli = await board();
      await add(cli, 'Fsp.fd', fspComponent('M', 16384, Buffer.alloc(2000, 3)));
      await add(cli, 'microcode.bin', MICROCODE);
      const region = await stitch(cli);
      await add(cli, 'dump.bin', testRom({ me: 'ME' }).fill('VENDOR', BIOS));
      const whole = await stitch(cli);
      expect([whole.name, whole.masked]).toEqual(['vmboot-board.rom', region.masked]);
      expect(part(whole.image, 'SI_ME')?.content.subarray(0, 4).toString()).toBe('MEME');
      expect(whole.image.subarray(BIOS).equals(region.image.subarray(BIOS))).toBe(true);
    },
  );

  it('says what has no room', async () => {
    const cli = await board();
    await add(cli, 'Fsp.fd', fspComponent('M', 112 * 1024, Buffer.alloc(80_000, 3)));
    await add(cli, 'microcode.bin', MICROCODE);
    const { code, stderr } = await cli.run('realize', 'stitch-board');
    expect(code).toBe(3);
    expect(stderr).toMatch(/fspm\.bin has no room: it has 114688 bytes, the largest gap in the image \d+/);
  });
});
