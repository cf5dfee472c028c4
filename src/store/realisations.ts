import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { writeFileAtomic, writeFileUnflushed } from '../io/files.ts';
import { buildKey } from '../model/buildKey.ts';
import { isDigest, type Digest } from '../model/digest.ts';
import { explainSystemError, systemErrorCode, unreadable, VmbuildError } from '../model/errors.ts';
import { artifactOf, type Realisation } from '../model/realisation.ts';
import { claimTree, findTree } from './artifacts.ts';
import { stagingPath, type Store } from './openStore.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

const digest = v.pipe(
  v.string(),
  v.check((text) => isDigest(text)),
);
const time = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text))),
);

/** Members of the statements, and of the records of targets, that were written before records had seals. */
const STATEMENT_MEMBERS = ['_type', 'subject', 'predicateType', 'predicate'];
const TARGET_MEMBERS = ['target', 'last', 'built'];

/** What vmbuild relies on in a statement; the rest is for others. */
const statementSchema = v.looseObject({
  subject: v.pipe(
    v.array(
      v.looseObject({
        name: v.string(),
        digest: v.looseObject({ sha256: digest }),
        annotations: v.looseObject({ size: v.number() }),
      }),
    ),
    v.minLength(1),
  ),
  predicate: v.looseObject({
    buildDefinition: v.looseObject({
      internalParameters: v.looseObject({ buildKey: digest, document: v.looseObject({}) }),
    }),
    runDetails: v.looseObject({
      builder: v.looseObject({ id: v.string() }),
      metadata: v.looseObject({ startedOn: time, finishedOn: time }),
    }),
  }),
});

/** The realisation of a build key, if the store has it *and* its artifact. */
export async function findRealisation(store: Store, key: Digest): Promise<Realisation | undefined> {
  const statement = await readRealisation(store, key);
  if (statement === undefined) return undefined;
  return (await findTree(store, artifactOf(statement))) === undefined ? undefined : statement;
}

/**
 * The same for somebody who is going to rely on it: the artifact is pinned, and stays until this process has ended or
 * disposed of the pins.
 */
export async function claimRealisation(store: Store, key: Digest): Promise<Realisation | undefined> {
  const statement = await readRealisation(store, key);
  if (statement === undefined) return undefined;
  return (await claimTree(store, artifactOf(statement))) === undefined ? undefined : statement;
}

/**
 * What the store has on record for a build key, whether or not it still has the artifact. A record that cannot be read
 * is as good as none: the step is built again and the record replaced.
 */
export async function readRealisation(store: Store, key: Digest): Promise<Realisation | undefined> {
  const record = readRecord(store.layout.realisation(key), STATEMENT_MEMBERS);
  if (!v.is(statementSchema, record)) return undefined;
  const statement = record as unknown as Realisation;
  const { internalParameters } = statement.predicate.buildDefinition;
  // The key must be that of the document which stands beside it, too: a record is only believed as a whole.
  if (internalParameters.buildKey !== key || buildKey(internalParameters.document) !== key) return undefined;
  return statement;
}

/** Records a realisation. Its artifact must be in the store and flushed (adoptTree does that). */
export async function recordRealisation(store: Store, statement: Realisation): Promise<void> {
  const { buildKey: key } = statement.predicate.buildDefinition.internalParameters;
  if ((await findTree(store, artifactOf(statement))) === undefined) {
    throw new VmbuildError('INTERNAL', `a realisation was to be recorded before its artifact ${artifactOf(statement)}`);
  }
  try {
    await writeFileAtomic(store.layout.realisation(key), sealRecord(statement), stagingPath(store));
  } catch (error) {
    throw explainSystemError(error, 'recording a realisation');
  }
}

/** One run of a target. */
export interface TargetRun {
  readonly derivation: Digest;
  readonly buildKey: Digest;
  /** RFC 3339. */
  readonly at: string;
  /** Milliseconds of the execution; 0 if it failed. */
  readonly durationMs: number;
}

/** What is known of a target's past. */
export interface TargetRecord {
  readonly target: string;
  /** Its last run, however it ended: `vmbuild log` shows this one's log. */
  readonly last: TargetRun & { readonly outcome: 'built' | 'failed' };
  /** Its last success: tells the scheduler how long it takes, and what is new since. */
  readonly built?: TargetRun | undefined;
}

/** What is known of a target; undefined if nothing. */
export async function readTargetRecord(store: Store, target: string): Promise<TargetRecord | undefined> {
  const record = readRecord(store.layout.last(target), TARGET_MEMBERS) as unknown as TargetRecord | undefined;
  return record?.target === target && isDigest(record.last?.buildKey) ? record : undefined;
}

/**
 * Notes a run of a target. A failure does not make the last success forgotten. It is not flushed: a power cut may lose
 * the note of a run, and with it how long the step took.
 */
export async function noteRun(
  store: Store,
  target: string,
  outcome: 'built' | 'failed',
  run: TargetRun,
): Promise<void> {
  const before = await readTargetRecord(store, target);
  const record: TargetRecord = { target, last: { ...run, outcome }, built: outcome === 'built' ? run : before?.built };
  try {
    await writeFileUnflushed(store.layout.last(target), sealRecord(record), stagingPath(store));
  } catch (error) {
    throw explainSystemError(error, 'noting the run of a target');
  }
}

/** Undefined if there is none, or none that can be believed. */
function readRecord(path: string, members: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  try {
    return unsealRecord(readFileSync(path, 'utf8'), members);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}
