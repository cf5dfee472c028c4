import type { Executor } from '../executors/executor.ts';
import type { FetchSettings } from '../fetchers/fetcher.ts';
import { strictest } from '../model/blobSlot.ts';
import type { Digest } from '../model/digest.ts';
import type { LimitChanges } from '../model/limits.ts';
import { artifactOf, durationOf, licenceOf, type Realisation, withLicence } from '../model/realisation.ts';
import type { Store } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import { noteRun, readStored, recordAbsent, recordRealisation } from '../store/realisations.ts';
import type { Emit, How } from './events.ts';
import type { PlannedStep } from './plan.ts';
import type { Substitution, SubstitutionSettings } from './substitution.ts';

/** How a realisation is to be done. */
export interface RealiseOptions {
  readonly store: Store;
  readonly fetch: FetchSettings;
  /** Asked for first, and only if something must be executed; always gives the same one. */
  readonly executor: () => Promise<Executor>;
  /** Steps at once. */
  readonly jobs: number;
  /** VMBUILD_JOBS of each step. */
  readonly cores: number;
  /** What the command line says of limits; it goes before what recipes say. */
  readonly limits?: LimitChanges | undefined;
  /** Execute although realised, and compare: nothing, the named targets, or their whole build graph. */
  readonly rebuild: 'nothing' | 'targets' | 'graph';
  /** Where results can be had instead of building them; nowhere by default. */
  readonly substitution?: SubstitutionSettings | undefined;
  /** Leave the scratch folder of a failed step where it can be looked at. */
  readonly keepFailed: boolean;
  /** The artifacts are going to be used after this has returned: pin them even if nothing had to be done. */
  readonly holdResults?: boolean | undefined;
  readonly vmbuildVersion: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** A step that has its artifact. */
export interface RealisedStep {
  readonly step: Step;
  readonly how: How;
  readonly buildKey: Digest;
  readonly statement: Realisation;
  readonly artifact: Digest;
  /** Path of the artifact in the store, where it is not if the step was skipped. Read only. */
  readonly path: string;
  /** Of this execution; for `reused`, of the one that made the artifact. */
  readonly durationMs: number;
}

/** The result of a step that was not executed: the store already had it, unless something else is said. */
export function reused(step: Step, statement: Realisation, store: Store, how: How = 'reused'): RealisedStep {
  const artifact = artifactOf(statement);
  return {
    step,
    how,
    buildKey: statement.predicate.buildDefinition.internalParameters.buildKey,
    statement,
    artifact,
    path: store.layout.tree(artifact),
    durationMs: durationOf(statement),
  };
}

/**
 * The same bytes may have been made before by a recipe that did not say what they were made from. What is known now of how
 * far they may travel goes into the record.
 */
async function restrict(result: RealisedStep, store: Store): Promise<RealisedStep> {
  const before = licenceOf(result.statement);
  const licence = strictest([before, result.step.licence]);
  if (licence === before) return result;
  const statement = withLicence(result.statement, licence);
  const envelopes = readStored(store, result.buildKey)?.envelopes;
  if (result.how === 'skipped') await recordAbsent(store, statement, envelopes);
  else await recordRealisation(store, statement, envelopes);
  return { ...result, statement };
}

/** Tells that a step has its artifact. */
export async function tellFinished(
  found: RealisedStep,
  { lastBuilt }: PlannedStep,
  substitution: Pick<Substitution, 'differing'>,
  { store, emit }: Pick<RealiseOptions, 'store' | 'emit'>,
): Promise<RealisedStep> {
  const result = await restrict(found, store);
  const { step, how, buildKey, artifact, durationMs } = result;
  // A target whose recipe went back to an older state has that older result as its last one again.
  if (how !== 'built' && how !== 'rebuilt' && lastBuilt?.buildKey !== buildKey) {
    await noteRun(store, step.target, 'built', {
      derivation: step.hash,
      buildKey,
      at: new Date().toISOString(),
      durationMs,
    });
  }
  const differing = substitution.differing(buildKey);
  if (differing !== undefined) emit({ type: 'step-not-reproducible', target: step.target, ...differing });
  emit({ type: 'step-finished', target: step.target, how, buildKey, artifact, durationMs });
  return result;
}
