import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { createEvaluator, type Evaluator } from '../../src/build/evaluate.ts';
import type { BuildEvent } from '../../src/build/events.ts';
import { createImageCatalog } from '../../src/build/images.ts';
import { openProject, type ProjectRoot } from '../../src/build/project.ts';
import { realise } from '../../src/build/realise.ts';
import type { RealisedStep, RealiseOptions } from '../../src/build/realised.ts';
import type { Executor } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { temporary } from './temporary.ts';
import { PROBE_PREFIX } from './probePrefix.ts';

/** The checkout. */
export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const image = inject('baseImage');
const availability = await createNamespaceExecutor().probe(PROBE_PREFIX);

/** Why recipes cannot be run here, or undefined if they can: pass it to describe.skipIf. */
export const cannotBuild: string | undefined =
  'unavailable' in image
    ? `the image base is not available: ${image.unavailable}`
    : availability.available
      ? undefined
      : availability.reason;

/** Title for a suite that runs recipes; it says why if it is skipped. */
export function buildSuite(title: string): string {
  return cannotBuild === undefined ? title : `${title} (skipped: ${cannotBuild})`;
}

/** A project in a temporary folder, with the image `base`. */
export interface Fixture {
  readonly root: ProjectRoot;
  readonly folder: string;
  /** Writes a file below recipes/. */
  write(path: string, content: string): Promise<void>;
  evaluator(): Evaluator;
}

/** Makes a project of recipes: path below recipes/ → content; in a folder that goes with the test, or in a given one. */
export async function fixture(files: Readonly<Record<string, string>>, given?: string): Promise<Fixture> {
  const folder = given ?? (await temporary());
  const root = { recipes: join(folder, 'recipes'), images: join(folder, 'docker') };
  await cp(join(REPOSITORY, 'docker', 'base'), join(root.images, 'base'), { recursive: true });
  await mkdir(root.recipes);
  const write = async (path: string, content: string): Promise<void> => {
    await mkdir(dirname(join(root.recipes, path)), { recursive: true });
    await writeFile(join(root.recipes, path), content);
  };
  for (const [path, content] of Object.entries(files)) await write(path, content);
  return { root, folder, write, evaluator: () => createEvaluator(openProject([root]), createImageCatalog([root])) };
}

/** Text of a recipe.ts that runs `script` with bash. */
export function scriptRecipe(script: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const recipe = { description: 'a test', image: 'base', command: ['bash', '-euc', script], ...fields };
  return `import { defineRecipe } from 'vmbuild';\nexport default defineRecipe(${JSON.stringify(recipe)});\n`;
}

/** An empty store that has the image `base` already. */
export async function storeWithImage(folder?: string): Promise<Store> {
  const root = folder ?? (await temporary());
  const store = await openStore(root);
  if ('folder' in image) {
    await mkdir(join(root, 'images'), { recursive: true });
    await symlink(image.folder, join(root, 'images', image.digest));
  }
  await chmod(root, 0o755);
  return store;
}

/** What a run gave, and all that was told of it. */
export interface Run {
  readonly results: readonly RealisedStep[];
  readonly events: readonly BuildEvent[];
  /** Targets that were executed, in order of their start. */
  readonly executed: readonly string[];
}

/** Evaluates and realises targets of a fixture. Events are collected in `events` even if it fails. */
export async function run(
  project: Fixture,
  targets: readonly string[],
  options: Partial<Omit<RealiseOptions, 'executor'>> & {
    readonly store: Store;
    readonly executor?: Executor;
    readonly events?: BuildEvent[];
  },
): Promise<Run> {
  const { events = [], executor = createNamespaceExecutor(), ...rest } = options;
  const evaluator = project.evaluator();
  const steps = [];
  for (const target of targets) steps.push(await evaluator.evaluate(target));
  const results = await realise(steps, {
    fetch: { sourceDirs: [], debianMirrors: [], offline: true },
    jobs: 2,
    cores: 2,
    rebuild: 'nothing',
    keepFailed: false,
    vmbuildVersion: 'test',
    signal: new AbortController().signal,
    ...rest,
    emit: (event) => {
      events.push(event);
      rest.emit?.(event);
    },
    executor: () => Promise.resolve(executor),
  });
  const executed = events.flatMap((event) => (event.type === 'step-started' ? [event.target] : []));
  return { results, events, executed };
}
