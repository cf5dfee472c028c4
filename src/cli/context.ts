import type { Trust } from '../attest/trust.ts';
import { createEvaluator, type Evaluator, type Step } from '../build/evaluate.ts';
import { createImageCatalog } from '../build/images.ts';
import { openProject, type Project } from '../build/project.ts';
import { type Plan, planSteps } from '../build/plan.ts';
import { createSubstitution } from '../build/substitution.ts';
import { readBindings } from '../store/blobs.ts';
import { openStore, openStoreForReading, type Store } from '../store/openStore.ts';
import { readTrust } from './trustSettings.ts';
import { type GlobalOptions, projectRoots, storeFolder } from './settings.ts';

/** What most commands work on. */
export interface Context {
  readonly project: Project;
  readonly evaluator: Evaluator;
  readonly store: Store;
  /** Looks steps up in the store, and believes what was taken from others as far as the policy goes today. */
  readonly plan: (steps: readonly Step[]) => Promise<Plan>;
}

/** Opens the project and the store that the options name; `read` for commands that only look. */
export async function openContext(options: GlobalOptions, access: 'read' | 'write'): Promise<Context> {
  const project = openProject(projectRoots(options));
  const store = await (access === 'read' ? openStoreForReading : openStore)(await storeFolder(options));
  const evaluator = createEvaluator(project, createImageCatalog(project.roots), (platform) =>
    readBindings(store, platform),
  );
  let trust: Promise<Trust> | undefined;
  const plan = async (steps: readonly Step[]): Promise<Plan> => {
    const settings = { caches: [], trust: await (trust ??= readTrust(options)), only: false };
    return planSteps(steps, store, createSubstitution(settings, { store }));
  };
  return { project, evaluator, store, plan };
}

/** Evaluates targets one after another (a cycle across two of them is then found as one). */
export async function evaluateAll(evaluator: Evaluator, targets: readonly string[]): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (const target of targets) steps.push(await evaluator.evaluate(target));
  return steps;
}
