import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEvaluator, type Step } from '../../src/build/evaluate.ts';
import { createImageCatalog } from '../../src/build/images.ts';
import { checkPlan, planSteps } from '../../src/build/plan.ts';
import { openProject, type Project } from '../../src/build/project.ts';
import { VmbuildError } from '../../src/model/errors.ts';
import { openStore } from '../../src/store/openStore.ts';
import { cliFor } from '../cli/cli.ts';
import { type Fixture, fixture, REPOSITORY } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

const OURS = { recipes: join(REPOSITORY, 'recipes'), images: join(REPOSITORY, 'docker') };

const MEBIBYTE = 1024 * 1024;

function platformModule(fields: Readonly<Record<string, unknown>> = {}): string {
  const platform = {
    description: 'a board',
    flash: { size: 16 * MEBIBYTE, budget: 12 * MEBIBYTE },
    kernelCommandLine: 'console=ttyS0',
    ...fields,
  };
  return `import { definePlatform } from 'vmbuild';\nexport default definePlatform(${JSON.stringify(platform)});\n`;
}

/** A project that has a board and nothing else: no recipe, no image. */
async function board(fields?: Readonly<Record<string, unknown>>, files: Record<string, string> = {}): Promise<Fixture> {
  const folder = (path: string): string => `platforms/my-board/${path}`;
  return fixture({
    [folder('platform.ts')]: platformModule(fields),
    [folder('linux.fragment')]: 'CONFIG_IGB=y\n',
    [folder('coreboot.defconfig')]: 'CONFIG_VENDOR_EMULATION=y\n',
    ...Object.fromEntries(Object.entries(files).map(([path, content]) => [folder(path), content])),
  });
}

function open(theirs: Fixture): { readonly project: Project; readonly evaluate: (target: string) => Promise<Step> } {
  const roots = [theirs.root, OURS];
  const project = openProject(roots);
  const evaluator = createEvaluator(project, createImageCatalog(roots));
  return { project, evaluate: (target) => evaluator.evaluate(target) };
}

async function error(promise: Promise<unknown>): Promise<VmbuildError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof VmbuildError)) throw new Error(`expected a VmbuildError, got ${String(thrown)}`);
  return thrown;
}

/** Plans a step with an empty store, and checks the budgets as `vmbuild realize` does. */
async function checked(step: Step): Promise<void> {
  checkPlan(await planSteps([step], await openStore(await temporary())));
}

async function refused(step: Step): Promise<VmbuildError> {
  return error(checked(step));
}

describe('a new board', () => {
  it('is one folder in a project of its own: its targets are there, and nothing else changes', async () => {
    const theirs = await board();
    const { project, evaluate } = open(theirs);
    expect(await project.targets()).toEqual(
      expect.arrayContaining(['linux-my-board', 'coreboot-my-board', 'rom-my-board', 'rom-qemu-q35']),
    );
    const rom = await evaluate('rom-my-board');
    expect(rom.derivation.env).toMatchObject({ PLATFORM: 'my-board', FLASH_SIZE: String(16 * MEBIBYTE) });
    expect(rom.lacks).toEqual({});
    const coreboot = rom.inputs['coreboot'];
    const files = coreboot?.files.files.map(({ path }) => path) ?? [];
    expect(files).toContain('platform/coreboot.defconfig');
    expect(coreboot?.inputs['linux']?.files.files.map(({ path }) => path)).toContain('platform/linux.fragment');

    const alone = createEvaluator(openProject([OURS]), createImageCatalog([OURS]));
    for (const target of ['rom-qemu-q35', 'rom-x11sch-f']) {
      expect((await evaluate(target)).hash).toBe((await alone.evaluate(target)).hash);
    }
  });

  it('brings its own coreboot board, flash layout and FSP interface, which only coreboot sees', async () => {
    const corebootFiles = ['flash.fmd', 'fsp.json', 'mainboard/acme/one/Kconfig'];
    const files = { 'flash.fmd': 'FLASH 16M {}', 'fsp.json': '{}', 'mainboard/acme/one/Kconfig': '' };
    const [plain, own] = [open(await board()), open(await board({ corebootFiles }, files))];
    const coreboot = await own.evaluate('coreboot-my-board');
    expect(coreboot.files.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['fsp-headers.py', ...corebootFiles.map((path) => `platform/${path}`)]),
    );
    expect(coreboot.hash).not.toBe((await plain.evaluate('coreboot-my-board')).hash);
    expect(coreboot.inputs['linux']?.hash).toBe((await plain.evaluate('linux-my-board')).hash);
  });

  it('can be listed and shown from the command line', async () => {
    const cli = await cliFor(await board());
    const { code, stdout } = await cli.run('ls');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^rom-my-board +- +the flash image for my-board/m);
    expect(stdout).toMatch(/^rom-x9scl +refused +rom-x9scl needs 10485760 bytes of flash at least/m);
  });

  it('that is refused can be looked at all the same', async () => {
    const cli = await cliFor(await board());
    const { code, stdout, stderr } = await cli.run('show', 'rom-x9scl');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^refused: rom-x9scl needs 10485760 bytes of flash at least, .*:\n {2}flash chip +8388608$/m,
    );
    expect(JSON.parse((await cli.run('show', 'rom-x9scl', '--json')).stdout)).toMatchObject({
      target: 'rom-x9scl',
      refused: expect.stringContaining('too little by') as unknown,
    });
    for (const args of [
      ['realize', 'rom-x9scl'],
      ['realize', 'rom-x9scl', '--dry-run'],
    ]) {
      const ended = await cli.run(...args);
      expect(ended).toMatchObject({ code: 3, stdout: '' });
      expect(ended.stderr).toMatch(/^error BUDGET_EXCEEDED: rom-x9scl needs/);
    }
  });

  it.each([
    [
      'a budget that the chip has no room for',
      { flash: { size: 10, taken: { x: 4 }, budget: 7 } },
      /flash: the budget/,
    ],
    ['more taken than there is', { flash: { size: 10, taken: { x: 11 }, budget: 0 } }, /flash: the budget/],
    ['a licence class that does not exist', slots({ licence: 'mine' }), /blobs\.fsp\.licence/],
    ['a blob that nobody knows where to get', slots({ from: [] }), /blobs\.fsp\.from/],
    ['a blob that fills nothing', slots({ fills: {} }), /blobs\.fsp\.fills/],
    ['a region that no descriptor has', slots({ fills: { region: 'bios' } }), /blobs\.fsp\.fills/],
    ['a digest that is none', slots({ sha256: 'abc' }), /blobs\.fsp\.sha256/],
    ['several lines where one is shown', slots({ what: 'a\nb' }), /blobs\.fsp\.what: must be one line/],
    ['a file outside of its folder', { corebootFiles: ['../x9scl/coreboot.defconfig'] }, /corebootFiles\.0/],
  ])('with %s is refused with file and field', async (_what, fields, message) => {
    const thrown = await error(open(await board(fields)).evaluate('rom-my-board'));
    expect(thrown.code).toBe('RECIPE_INVALID');
    expect(thrown.message).toMatch(/platforms\/my-board\/platform\.ts: /);
    expect(thrown.message).toMatch(message);
  });

  it('that names a file which is not there is refused', async () => {
    const thrown = await error(open(await board({ corebootFiles: ['flash.fmd'] })).evaluate('coreboot-my-board'));
    expect(thrown).toMatchObject({ code: 'RECIPE_INVALID' });
    expect(thrown.message).toContain('my-board/flash.fmd does not exist');
  });

  it('with too little flash is refused before anything is built, with the sizes', async () => {
    const flash = { size: 12 * MEBIBYTE, taken: { 'vendor, ME': 4 * MEBIBYTE }, budget: 8 * MEBIBYTE };
    const { evaluate } = open(await board({ flash }));
    for (const target of ['rom-my-board', 'coreboot-my-board']) {
      const thrown = await refused(await evaluate(target));
      expect(thrown).toMatchObject({ code: 'BUDGET_EXCEEDED', step: target });
      expect(thrown.message).toMatch(
        new RegExp(
          [
            `^${target} needs 10485760 bytes of flash at least, and its platform has 8388608 for it:`,
            '  flash chip +12582912',
            '  vendor, ME +-4194304',
            '  left +8388608 +80.0 %',
            '  Linux kernel +about \\d+ +\\d+\\.\\d %',
            '  initramfs +about \\d+ +\\d+\\.\\d %',
            '  needed +10485760 +100.0 %',
            '  too little by +2097152 +20.0 %$',
          ].join('\n'),
        ),
      );
    }
    // The kernel alone is nobody's flash image.
    await checked(await evaluate('linux-my-board'));
  });
});

function slots(change: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const slot = { what: 'x', licence: 'stays-local', from: ['somewhere'], fills: { cbfs: ['fspm.bin'] } };
  return { blobs: { fsp: { ...slot, ...change } } };
}

describe('x9scl, the example of docs/new-board.md', () => {
  it('is refused for its flash, and its documented files are those in the repository', async () => {
    const { evaluate } = open(await board());
    const thrown = await refused(await evaluate('rom-x9scl'));
    expect(thrown.code).toBe('BUDGET_EXCEEDED');
    const text = await readFile(join(REPOSITORY, 'docs', 'new-board.md'), 'utf8');
    for (const line of thrown.message.split('\n')) expect(text).toContain(line.trim());
    for (const file of ['platform.ts', 'coreboot.defconfig', 'linux.fragment']) {
      expect(text).toContain((await readFile(join(OURS.recipes, 'platforms', 'x9scl', file), 'utf8')).trim());
    }
  });

  it('builds its own folder elsewhere to the same derivation', async () => {
    const theirs = await fixture({});
    await cp(join(OURS.recipes, 'platforms', 'x9scl'), join(theirs.root.recipes, 'platforms', 'x9scl-copy'), {
      recursive: true,
    });
    const { evaluate } = open(theirs);
    const [copy, original] = [await evaluate('linux-x9scl-copy'), await evaluate('linux-x9scl')];
    expect(copy.derivation).toEqual({ ...original.derivation, name: 'linux-x9scl-copy' });
  });
});
