import { execFileSync } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEvaluator, type Evaluator } from '../../src/build/evaluate.ts';
import { topologicalOrder } from '../../src/build/graph.ts';
import { createImageCatalog } from '../../src/build/images.ts';
import { openProject } from '../../src/build/project.ts';
import { REPOSITORY } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

function projectAt(folder: string): { readonly evaluator: Evaluator; readonly targets: Promise<readonly string[]> } {
  const roots = [{ recipes: join(folder, 'recipes'), images: join(folder, 'docker') }];
  const project = openProject(roots);
  return { evaluator: createEvaluator(project, createImageCatalog(roots)), targets: project.targets() };
}

describe('the recipes of this repository', () => {
  it('all evaluate, and in another folder to the same hashes', async () => {
    const copy = join(await temporary(), 'a', 'rather', 'long', 'path');
    await cp(join(REPOSITORY, 'recipes'), join(copy, 'recipes'), { recursive: true });
    await cp(join(REPOSITORY, 'docker'), join(copy, 'docker'), { recursive: true });
    const [here, there] = [projectAt(REPOSITORY), projectAt(copy)];
    const targets = await here.targets;
    expect(targets).toEqual(await there.targets);
    expect(targets).toContain('rom-qemu-q35');
    for (const target of targets) {
      expect((await there.evaluator.evaluate(target)).hash).toBe((await here.evaluator.evaluate(target)).hash);
    }
  });

  it('evaluate to the same hashes in another environment, time zone and at another time', async () => {
    const script = `
      import { createEvaluator } from '${REPOSITORY}src/build/evaluate.ts';
      import { createImageCatalog } from '${REPOSITORY}src/build/images.ts';
      import { openProject } from '${REPOSITORY}src/build/project.ts';
      if (process.env.SHIFT) {
        const Real = Date;
        globalThis.Date = class extends Real {
          constructor(...args) { super(...(args.length > 0 ? args : [Real.now() + 1e12])); }
          static now() { return Real.now() + 1e12; }
        };
      }
      const roots = [{ recipes: '${REPOSITORY}recipes', images: '${REPOSITORY}docker' }];
      const step = await createEvaluator(openProject(roots), createImageCatalog(roots)).evaluate('rom-qemu-q35');
      process.stdout.write(step.hash);`;
    const hash = (env: Record<string, string>): string =>
      execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, cwd: '/' }).toString();
    const one = hash({ PATH: '/usr/bin:/bin' });
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(hash({ TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8', HOME: '/nowhere', SHIFT: '1' })).toBe(one);
  });

  it('need no more of the flash than a platform has, and no image that is not locked', async () => {
    const { evaluator } = projectAt(REPOSITORY);
    const rom = await evaluator.evaluate('rom-qemu-q35');
    const names = topologicalOrder([rom]).map((step) => step.target);
    expect(names.at(-1)).toBe('rom-qemu-q35');
    expect(rom.flashBudget?.limit).toBeGreaterThan(0);
    for (const { input } of Object.values(rom.flashBudget?.parts ?? {})) expect(names).toContain(input);
  });

  it('have the same Go modules wherever a go.sum is copied to', async () => {
    const [wanted, ...copies] = await Promise.all(
      ['u-root', 'gokvm', 'vmboot'].map((name) => readFile(join(REPOSITORY, 'recipes', name, 'go.sum'), 'utf8')),
    );
    for (const copy of copies) expect(copy).toBe(wanted);
  });
});

const shellcheck = hasShellcheck();

describe(shellcheck ? 'scripts' : 'scripts (skipped: shellcheck is not installed)', () => {
  it.skipIf(!shellcheck)('pass shellcheck', () => {
    const scripts = execFileSync('git', ['ls-files', '-z', '*.sh', '.ci/run', 'bin/vmbuild'], { cwd: REPOSITORY });
    const files = scripts.toString().split('\0').filter(Boolean);
    expect(files.length).toBeGreaterThan(5);
    expect(() => execFileSync('shellcheck', files, { cwd: REPOSITORY, stdio: 'pipe' })).not.toThrow();
  });
});

function hasShellcheck(): boolean {
  try {
    execFileSync('shellcheck', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
