/**
 * Graphs of recipes to measure with.
 *
 *   graph.ts write FOLDER COUNT trivial|compile   a project: steps step-1 … that need nothing, and `all` that needs them
 *   graph.ts plan FOLDER COUNT                    writes a graph whose steps need two others each, evaluates and plans it
 *   graph.ts script                               what a step of `compile` executes
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createEvaluator } from '../src/build/evaluate.ts';
import { createImageCatalog } from '../src/build/images.ts';
import { planSteps } from '../src/build/plan.ts';
import { openProject } from '../src/build/project.ts';
import { openStoreForReading } from '../src/store/openStore.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Enough work for a compiler to take seconds: many functions of some size. */
const COMPILE = [
  'for i in $(seq 12); do for j in $(seq 400); do',
  'echo "int f_${i}_$j(int a,int b){int s=0;for(int k=0;k<a;k++){s+=k*b^(s>>3);if(s&$j)s-=b*k;}return s;}";',
  'done >u$i.c; done; for i in $(seq 12); do gcc -O2 -c u$i.c -o u$i.o; done; ar rD /out/all.a u*.o',
].join(' ');

function writeRecipe(folder: string, name: string, fields: object): void {
  const place = join(folder, 'recipes', name);
  mkdirSync(place, { recursive: true });
  const recipe = { description: 'a measurement', image: 'base', ...fields };
  writeFileSync(
    join(place, 'recipe.ts'),
    `import { defineRecipe } from 'vmbuild';\nexport default defineRecipe(${JSON.stringify(recipe)});\n`,
  );
}

function bash(script: string): readonly string[] {
  return ['bash', '-euc', script];
}

function writeSteps(folder: string, count: number, kind: string): void {
  cpSync(join(ROOT, 'docker'), join(folder, 'docker'), { recursive: true });
  const names = Array.from({ length: count }, (_, index) => `step-${index + 1}`);
  for (const name of names) {
    writeRecipe(
      folder,
      name,
      kind === 'compile' ? { image: 'firmware', command: bash(COMPILE) } : { command: bash(`echo ${name} >/out/name`) },
    );
  }
  const inputs = Object.fromEntries(names.map((name) => [name, name]));
  writeRecipe(folder, 'all', { inputs, command: bash('cat /in/*/name >/out/names') });
}

/** Steps of a graph like those of a distribution: each needs the one before it and one that is half as far. */
function writeGraph(folder: string, count: number): string {
  cpSync(join(ROOT, 'docker'), join(folder, 'docker'), { recursive: true });
  for (let n = 1; n <= count; n += 1) {
    const needed = new Set([n - 1, Math.floor(n / 2)].filter((other) => other > 0 && other < n && n % 50 !== 0));
    if (n % 50 === 0) for (let other = n - 50; other > 0 && other < n; other += 1) needed.add(other);
    const inputs = Object.fromEntries([...needed].map((other) => [`in-${other}`, `step-${other}`]));
    writeRecipe(folder, `step-${n}`, { inputs, command: bash('true') });
  }
  return `step-${count}`;
}

async function measurePlan(folder: string, count: number): Promise<void> {
  const target = writeGraph(folder, count);
  const roots = [{ recipes: join(folder, 'recipes'), images: join(folder, 'docker') }];
  const store = await openStoreForReading(join(folder, 'store'));
  // Modules are loaded once, and that is Node's work: what is measured is the second time.
  for (const what of ['with loading the modules', 'evaluated and planned']) {
    const before = process.cpuUsage();
    const start = performance.now();
    const step = await createEvaluator(openProject(roots), createImageCatalog(roots)).evaluate(target);
    const evaluated = performance.now();
    const plan = await planSteps([step], store);
    const end = performance.now();
    const { user, system } = process.cpuUsage(before);
    const figures = [end - start, evaluated - start, end - evaluated, (user + system) / 1000].map(Math.round);
    process.stdout.write(
      `${plan.length} derivations, ${what}: ${figures[0]} ms (${figures[1]} + ${figures[2]}), CPU ${figures[3]} ms\n`,
    );
  }
}

const [verb, folder = '', count = '', kind = ''] = process.argv.slice(2);
if (verb === 'write') writeSteps(folder, Number(count), kind);
else if (verb === 'plan') await measurePlan(folder, Number(count));
else if (verb === 'script') process.stdout.write(COMPILE);
else process.exitCode = 2;
