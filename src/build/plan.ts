import { type BuildKeyDocument, buildKey, type Content } from '../model/buildKey.ts';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { type BudgetRow, checkFlashBudget } from '../model/flashBudget.ts';
import { artifactOf, filesOf, type Realisation } from '../model/realisation.ts';
import { findTree, isCollected } from '../store/artifacts.ts';
import { findRealisation, readTargetRecord, type TargetRun } from '../store/realisations.ts';
import type { Store } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import type { Decision } from './events.ts';
import { topologicalOrder } from './graph.ts';
import { createSubstitution, type Substitution } from './substitution.ts';
import { refuseMissing } from './takeBlobs.ts';

/** What would happen to a step, and why. */
export interface PlannedStep {
  readonly step: Step;
  readonly decision: Decision;
  readonly reason: string;
  /** Known if the artifacts of all inputs are known. */
  readonly buildKey: Digest | undefined;
  /** What the step gives, if that is known; with `fetch` and `skip` its artifact is not in the store. */
  readonly statement: Realisation | undefined;
  /** The target's last success on this machine, if any. */
  readonly lastBuilt: TargetRun | undefined;
}

/** The plan of a realisation, inputs first. */
export type Plan = readonly PlannedStep[];

/**
 * Looks every step up in the store, and what is not there in the caches of the substitution. Without one it touches no
 * network; it assembles nothing and starts nothing.
 */
export async function planSteps(
  targets: readonly Step[],
  store: Store,
  substitution: Substitution = createSubstitution(undefined, { store }),
): Promise<Plan> {
  substitution.begin(targets);
  const planned = new Map<Digest, Promise<PlannedStep>>();
  const order = topologicalOrder(targets);
  // All at once where caches are asked: a step waits for its inputs only.
  for (const step of order) {
    const promise = (async () => {
      const inputs: Record<string, Digest | undefined> = {};
      for (const [mount, input] of Object.entries(step.inputs)) {
        const statement = (await planned.get(input.hash))?.statement;
        inputs[mount] = statement && artifactOf(statement);
      }
      return planStep(step, inputs, store, substitution);
    })();
    // Awaited below, in order; one that fails early must not be unhandled until then.
    promise.catch(() => {});
    planned.set(step.hash, promise);
  }
  const plan: PlannedStep[] = [];
  for (const step of order) plan.push(await (planned.get(step.hash) as Promise<PlannedStep>));
  return settleAway(plan, targets, substitution.settings.caches.length > 0);
}

/** Decides on steps of which all is known but whose artifacts are away: they are only needed where something is built. */
function settleAway(plan: Plan, targets: readonly Step[], canFetch: boolean): Plan {
  if (plan.every(({ decision }) => decision !== 'skip')) return plan;
  const needed = new Set(targets.map(({ hash }) => hash));
  const settled = plan.toReversed().map((planned): PlannedStep => {
    const { step } = planned;
    const away = planned.decision === 'skip' && needed.has(step.hash);
    const decision = !away ? planned.decision : canFetch ? 'fetch' : 'build';
    if (decision === 'build') {
      for (const input of Object.values(step.inputs)) needed.add(input.hash);
    }
    if (!away) return planned;
    return {
      ...planned,
      decision,
      reason: canFetch ? 'known, and to be had from a cache' : 'not in the store any more',
    };
  });
  return settled.toReversed();
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
  substitution: Substitution,
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
  const known = substitution.known(step.target, key);
  const here = known !== undefined && (await findTree(store, artifactOf(known))) !== undefined;
  if (here) return { ...base, decision: 'reuse', reason: 'in the store', buildKey: key, statement: known };
  // What is gone for no known reason is not relied on.
  const away = known !== undefined && (await isCollected(store, artifactOf(known))) ? known : undefined;
  const statement = away ?? (await substitution.lookUp(step.target, key));
  if (statement !== undefined) {
    if ((await findTree(store, artifactOf(statement))) !== undefined)
      return { ...base, decision: 'reuse', reason: 'the store has the artifact', buildKey: key, statement };
    return { ...base, decision: 'skip', reason: 'known, and not needed', buildKey: key, statement };
  }
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
