import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEvaluator } from '../../src/build/evaluate.ts';
import { topologicalOrder } from '../../src/build/graph.ts';
import { createImageCatalog } from '../../src/build/images.ts';
import { openProject } from '../../src/build/project.ts';
import { VmbuildError } from '../../src/model/errors.ts';
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
import { temporary } from '../support/temporary.ts';

const RECIPES = join(REPOSITORY, 'recipes');
const PARTS = ['binutils', 'gcc', 'nasm', 'iasl'] as const;
const SHARED = await readFile(join(RECIPES, 'shared', 'toolchain.sh'), 'utf8');
const BUILD = await readFile(join(RECIPES, 'toolchain', 'build.sh'), 'utf8');

const roots = [{ recipes: RECIPES, images: join(REPOSITORY, 'docker') }];
const evaluator = createEvaluator(openProject(roots), createImageCatalog(roots));

describe('the cross toolchain in the graph', () => {
  it.each(['qemu-q35', 'x11sch-f'])('compiles coreboot for %s, and nothing but coreboot', async (platform) => {
    const rom = await evaluator.evaluate(`rom-${platform}`);
    const steps = topologicalOrder([rom]);
    expect(steps.map(({ target }) => target)).toEqual(expect.arrayContaining(['toolchain', ...PARTS]));
    const users = steps.filter(({ inputs }) => Object.values(inputs).some(({ target }) => target === 'toolchain'));
    expect(users.map(({ target }) => target)).toEqual([`coreboot-${platform}`]);
  });

  it('is always at the place that its programs are built for', async () => {
    const prefix = /^readonly prefix=\/in\/(\S+)$/m.exec(SHARED)?.[1];
    const [coreboot, gcc] = [await evaluator.evaluate('coreboot-qemu-q35'), await evaluator.evaluate('gcc')];
    expect(coreboot.inputs[prefix ?? '']?.target).toBe('toolchain');
    // gcc looks for assembler and linker where the toolchain will be, and remembers what they can do.
    expect(gcc.inputs[prefix ?? '']?.target).toBe('binutils');
    expect(await readFile(join(RECIPES, 'coreboot', 'build.sh'), 'utf8')).toContain(`XGCCPATH=/in/${prefix}/bin/`);
  });

  it('is the same for every board, and depends on no source of coreboot but for its patches', async () => {
    const [one, other] = [await evaluator.evaluate('coreboot-qemu-q35'), await evaluator.evaluate('coreboot-x11sch-f')];
    expect(one.inputs['toolchain']?.hash).toBe(other.inputs['toolchain']?.hash);
    for (const part of PARTS) expect((await evaluator.evaluate(part)).sources).not.toHaveProperty('coreboot.tar.xz');
  });
});

async function failure(project: Fixture, target: string): Promise<string> {
  const store = await storeWithImage();
  const error: unknown = await run(project, [target], { store }).catch((thrown: unknown) => thrown);
  if (!(error instanceof VmbuildError)) throw new Error(`expected a VmbuildError, got ${String(error)}`);
  expect(error).toMatchObject({ code: 'BUILD_FAILED', step: target });
  return error.excerpt.join('\n');
}

describe.skipIf(cannotBuild !== undefined)(buildSuite('toolchain.sh'), () => {
  const part = (script: string): Promise<Fixture> =>
    fixture({
      'shared/toolchain.sh': SHARED,
      'part/recipe.ts': scriptRecipe(`. /recipe/toolchain.sh\n${script}`, {
        files: [{ from: 'shared/toolchain.sh', to: 'toolchain.sh' }],
      }),
    });

  it('lets through what is complete, small enough, and silent where all is well', async () => {
    const project = await part(`quietly echo noise\nprintf 1234 >/out/file\nln -s file /out/link\nfinish 4`);
    const { results } = await run(project, ['part'], { store: await storeWithImage() });
    expect(results.at(-1)?.statement.subject.map(({ name }) => name)).toContain('file');
  });

  it.each([
    ['more bytes than the budget', 'printf 1234 >/out/large\nfinish 3', /4 large\ntoo large$/],
    [
      'a path of the build',
      'echo "made in $PWD/here" >/out/file\nfinish 100',
      /\/out\/file\nthese files name a folder/,
    ],
    [
      'a command that fails, with what it said',
      'quietly sh -c "echo why; exit 3"',
      /why\nsh -c echo why; exit 3 failed$/,
    ],
  ])('refuses %s', async (_what, script, message) => {
    expect(await failure(await part(script), 'part')).toMatch(message);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('the recipe toolchain'), () => {
  it('refuses a file that two parts have', async () => {
    const made = (path: string): string => scriptRecipe(`mkdir -p /out/bin; echo x >/out/${path}`);
    const project = await fixture({
      ...Object.fromEntries(
        PARTS.map((name) => [`${name}/recipe.ts`, made(name === 'gcc' ? 'bin/ld' : `bin/${name}`)]),
      ),
      'binutils/recipe.ts': made('bin/ld'),
      'toolchain/build.sh': BUILD,
      'toolchain/recipe.ts': scriptRecipe('', {
        inputs: Object.fromEntries(PARTS.map((name) => [name, name])),
        files: ['build.sh'],
        command: ['bash', '/recipe/build.sh'],
      }),
    });
    expect(await failure(project, 'toolchain')).toContain('gcc has what another part has: ./bin/ld');
  });
});

describe('the wrapper of iasl', () => {
  async function iasl(script: string, ...args: string[]): Promise<{ status: number | null; stdout: string }> {
    const folder = await temporary();
    for (const path of ['bin', 'lib/iasl']) await mkdir(join(folder, path), { recursive: true });
    await cp(join(RECIPES, 'iasl', 'iasl'), join(folder, 'bin', 'iasl'));
    await writeFile(join(folder, 'lib/iasl/iasl'), `#!/bin/sh\n${script}\n`);
    for (const path of ['bin/iasl', 'lib/iasl/iasl']) await chmod(join(folder, path), 0o755);
    const { status, stdout } = spawnSync(join(folder, 'bin', 'iasl'), args, { encoding: 'utf8' });
    return { status, stdout };
  }

  it('adds the words that coreboot asks for to the version, and to nothing else', async () => {
    const version = await iasl('echo "version 20200925"', '-v');
    expect(version).toMatchObject({ status: 0 });
    expect(version.stdout).toMatch(/^version 20200925\n.*coreboot toolchain.*\n$/);
    // genbuild_h.sh reads the version from every line that has this word.
    expect(version.stdout.match(/version/g)).toHaveLength(1);
    expect(await iasl('printf "%s|" "$@"', '-p', 'a b', 'x.asl')).toEqual({ status: 0, stdout: '-p|a b|x.asl|' });
  });

  it('fails as iasl does', async () => {
    expect(await iasl('echo bad; exit 7', '-v')).toEqual({ status: 7, stdout: 'bad\n' });
  });
});
