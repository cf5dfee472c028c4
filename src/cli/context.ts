import { createEvaluator, type Evaluator, type Step } from '../build/evaluate.ts';
import { createImageCatalog } from '../build/images.ts';
import { openProject, type Project } from '../build/project.ts';
import { readBindings } from '../store/blobs.ts';
import { openStore, openStoreForReading, type Store } from '../store/openStore.ts';
import { type GlobalOptions, projectRoots, storeFolder } from './settings.ts';

/** What most commands work on. */
export interface Context {
  readonly project: Project;
  readonly evaluator: Evaluator;
  readonly store: Store;
}

/** Opens the project and the store that the options name; `read` for commands that only look. */
export async function openContext(options: GlobalOptions, access: 'read' | 'write'): Promise<Context> {
  const project = openProject(projectRoots(options));
  const store = await (access === 'read' ? openStoreForReading : openStore)(await storeFolder(options));
  const evaluator = createEvaluator(project, createImageCatalog(project.roots), (platform) =>
    readBindings(store, platform),
  );
  return { project, evaluator, store };
}

/** Evaluates targets one after another (a cycle across two of them is then found as one). */
export async function evaluateAll(evaluator: Evaluator, targets: readonly string[]): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (const target of targets) steps.push(await evaluator.evaluate(target));
  return steps;
}
