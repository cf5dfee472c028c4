import { lstatSync, readFileSync } from 'node:fs';
import { writeFileAtomic, writeFileUnflushed } from '../io/files.ts';
import { isDigest, type Digest } from '../model/digest.ts';
import { type Envelope, isEnvelope } from '../model/envelope.ts';
import { explainSystemError, systemErrorCode, unreadable, VmbuildError } from '../model/errors.ts';
import { artifactOf, type Realisation } from '../model/realisation.ts';
import { parseRealisation } from '../model/realisationSchema.ts';
import { findTree, markCollected } from './artifacts.ts';
import { stagingPath, type Store } from './openStore.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

/** Members of the statements, and of the records of targets, that were written before records had seals. */
const STATEMENT_MEMBERS = ['_type', 'subject', 'predicateType', 'predicate'];
const TARGET_MEMBERS = ['target', 'last', 'built'];

/** The realisation of a build key, if the store has it *and* its artifact. */
export async function findRealisation(store: Store, key: Digest): Promise<Realisation | undefined> {
  const statement = await readRealisation(store, key);
  if (statement === undefined) return undefined;
  return (await findTree(store, artifactOf(statement))) === undefined ? undefined : statement;
}

/**
 * What the store has on record for a build key, whether or not it still has the artifact. A record that cannot be read
 * is as good as none: the step is built again and the record replaced.
 */
export async function readRealisation(store: Store, key: Digest): Promise<Realisation | undefined> {
  return readStored(store, key)?.statement;
}

/** A realisation in the store, and where it comes from. */
export interface StoredRealisation {
  readonly statement: Realisation;
  /** What others have signed, if it was taken from them; undefined for a build on this machine. */
  readonly envelopes: readonly Envelope[] | undefined;
}

/** The same as `readRealisation`, with what others have signed. */
export function readStored(store: Store, key: Digest): StoredRealisation | undefined {
  const record = readRecord(store.layout.realisation(key), STATEMENT_MEMBERS);
  if (record === undefined) return undefined;
  const { envelopes, ...members } = record;
  const statement = parseRealisation(members, key);
  if (statement === undefined) return undefined;
  if (envelopes === undefined) return { statement, envelopes };
  // Without what was signed it would pass for a build on this machine.
  return Array.isArray(envelopes) && envelopes.every(isEnvelope) ? { statement, envelopes } : undefined;
}

/** Records a realisation. Its artifact must be in the store and flushed (adoptTree does that). */
export async function recordRealisation(
  store: Store,
  statement: Realisation,
  envelopes?: readonly Envelope[],
): Promise<void> {
  if ((await findTree(store, artifactOf(statement))) === undefined) {
    throw new VmbuildError('INTERNAL', `a realisation was to be recorded before its artifact ${artifactOf(statement)}`);
  }
  await writeRealisation(store, statement, envelopes);
}

/**
 * Records a realisation without its artifact, which can be had again when something is to be built with it: from whoever
 * signed the envelopes. It counts as collected until then.
 */
export async function recordAbsent(
  store: Store,
  statement: Realisation,
  envelopes: readonly Envelope[] | undefined,
): Promise<void> {
  const artifact = artifactOf(statement);
  await store.pins.add([artifact]);
  if ((await findTree(store, artifact)) === undefined) markCollected(store, artifact);
  await writeRealisation(store, statement, envelopes);
}

async function writeRealisation(
  store: Store,
  statement: Realisation,
  envelopes: readonly Envelope[] | undefined,
): Promise<void> {
  const { buildKey: key } = statement.predicate.buildDefinition.internalParameters;
  try {
    const record = envelopes === undefined ? statement : { ...statement, envelopes };
    await writeFileAtomic(store.layout.realisation(key), sealRecord(record), stagingPath(store));
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
    // Most of what a plan looks for is not there, and to throw and catch costs more than to look.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    return unsealRecord(readFileSync(path, 'utf8'), members);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}
