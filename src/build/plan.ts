import { type BuildKeyDocument, buildKey, type Content } from '../model/buildKey.ts';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { type BudgetRow, checkFlashBudget } from '../model/flashBudget.ts';
import { artifactOf, filesOf, type Realisation } from '../model/realisation.ts';
import { findRealisation, readTargetRecord, type TargetRun } from '../store/realisations.ts';
import type { Store } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import type { Decision } from './events.ts';
import { topologicalOrder } from './graph.ts';
import { refuseMissing } from './takeBlobs.ts';

/** What would happen to a step, and why. */
export interface PlannedStep {
  readonly step: Step;
  readonly decision: Decision;
  readonly reason: string;
  /** Known if the artifacts of all inputs are known. */
  readonly buildKey: Digest | undefined;
  readonly statement: Realisation | undefined;
  /** The target's last success on this machine, if any. */
  readonly lastBuilt: TargetRun | undefined;
}

/** The plan of a realisation, inputs first. */
export type Plan = readonly PlannedStep[];

/**
 * Looks every step up in the store. Touches no network, assembles nothing, starts nothing.
 */
export async function planSteps(targets: readonly Step[], store: Store): Promise<Plan> {
  const planned = new Map<Digest, PlannedStep>();
  for (const step of topologicalOrder(targets)) {
    const inputs: Record<string, Digest | undefined> = {};
    for (const [mount, input] of Object.entries(step.inputs)) {
      const statement = planned.get(input.hash)?.statement;
      inputs[mount] = statement && artifactOf(statement);
    }
    planned.set(step.hash, await planStep(step, inputs, store));
  }
  return [...planned.values()];
}

/**
 * Checks the flash budgets of all steps and that no vendor blob is missing, for who is about to carry the plan out.
 *
 * @throws VmbuildError BUDGET_EXCEEDED if the flash is too small, or if parts whose sizes are known do not fit already;
 * BLOB_MISSING if a step takes a blob that nobody has supplied.
 */
export function checkPlan(plan: Plan): void {
  // The targets that a person named come last in the plan, and an error should speak of them.
  for (const { step } of plan.toReversed()) checkBudget(step, plan);
  for (const { step } of plan.toReversed())
    if (step.missingBlobs.length > 0) refuseMissing(step.target, step.missingBlobs);
}

/** Why a plan cannot be carried out for lack of flash or of vendor blobs, or undefined. */
export function refusal(plan: Plan): VmbuildError | undefined {
  try {
    checkPlan(plan);
    return undefined;
  } catch (error) {
    if (error instanceof VmbuildError && ['BUDGET_EXCEEDED', 'BLOB_MISSING'].includes(error.code)) return error;
    throw error;
  }
}

/** Checks the flash budget of a step against the parts in `plan` that are built; does nothing for steps without one. */
export function checkBudget(step: Step, plan: Iterable<Pick<PlannedStep, 'step' | 'statement'>>): void {
  if (step.flashBudget !== undefined) checkFlashBudget(step.target, step.flashBudget, budgetRows(step, plan));
}

/** The rows of a step's size table, in the order of the recipe. */
export function budgetRows(step: Step, plan: Iterable<Pick<PlannedStep, 'step' | 'statement'>>): readonly BudgetRow[] {
  const statements = new Map([...plan].map((planned) => [planned.step.target, planned.statement]));
  return Object.entries(step.flashBudget?.parts ?? {}).map(([part, { input, file, about }]) => {
    const wrong = (problem: string): VmbuildError =>
      new VmbuildError('RECIPE_INVALID', `${step.recipeFile}: flashBudget.parts.${part}: ${problem}`);
    // A part that is looked for in the wrong place would never be counted.
    if (!statements.has(input)) throw wrong(`${input} is not needed by ${step.target}`);
    const statement = statements.get(input);
    const size = statement && filesOf(statement).find((subject) => subject.name === file)?.annotations.size;
    if (statement !== undefined && size === undefined) throw wrong(`${input} has no file ${file}`);
    return { part, size, about };
  });
}

/** The build key document of a step whose inputs have become these artifacts. */
export function keyDocument(step: Step, artifacts: Readonly<Record<string, Digest>>): BuildKeyDocument {
  const { derivation } = step;
  const trees = Object.entries(artifacts).map(([mount, digest]): [string, Content] => [
    mount,
    { kind: 'tree', digest },
  ]);
  return {
    format: 1,
    platform: derivation.platform,
    sandbox: derivation.sandbox,
    image: derivation.image,
    command: derivation.command,
    env: derivation.env,
    recipe: derivation.recipe,
    sourceDateEpoch: derivation.sourceDateEpoch,
    inputs: { ...Object.fromEntries(trees), ...derivation.sources },
  };
}

async function planStep(
  step: Step,
  inputs: Readonly<Record<string, Digest | undefined>>,
  store: Store,
): Promise<PlannedStep> {
  const built = (await readTargetRecord(store, step.target))?.built;
  const base = { step, lastBuilt: built };
  const unknown = Object.entries(inputs).filter(([, digest]) => digest === undefined);
  if (unknown.length > 0) {
    const names = unknown.map(([mount]) => step.inputs[mount]?.target).join(', ');
    return { ...base, decision: 'depends', reason: `after ${names}`, buildKey: undefined, statement: undefined };
  }
  const document = keyDocument(step, inputs as Record<string, Digest>);
  const key = buildKey(document);
  const statement = await findRealisation(store, key);
  if (statement !== undefined) return { ...base, decision: 'reuse', reason: 'in the store', buildKey: key, statement };
  const previous = built && (await findRealisation(store, built.buildKey));
  return {
    ...base,
    decision: 'build',
    reason: whyBuild(document, previous?.predicate.buildDefinition.internalParameters.document),
    buildKey: key,
    statement: undefined,
  };
}

/** What is new since the last time, in words. */
function whyBuild(now: BuildKeyDocument, before: BuildKeyDocument | undefined): string {
  if (before === undefined) return 'never built here';
  const changed: string[] = [];
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  if (now.image !== before.image) changed.push('image');
  if (now.recipe !== before.recipe) changed.push('recipe files');
  if (!same(now.command, before.command)) changed.push('command');
  if (!same(now.env, before.env)) changed.push('environment');
  if (now.sourceDateEpoch !== before.sourceDateEpoch) changed.push('SOURCE_DATE_EPOCH');
  for (const mount of new Set([...Object.keys(now.inputs), ...Object.keys(before.inputs)])) {
    if (now.inputs[mount]?.digest !== before.inputs[mount]?.digest) changed.push(`input ${mount}`);
  }
  return `changed: ${changed.join(', ') || 'sandbox or format'}`;
}
