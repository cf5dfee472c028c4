import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { isDigest, type Digest } from '../../model/digest.ts';
import { isTargetName } from '../../model/names.ts';
import { artifactOf } from '../../model/realisation.ts';
import { findTree } from '../artifacts.ts';
import { readRealisation, readTargetRecord } from '../realisations.ts';
import { listFolder } from './checkFolders.ts';
import type { Check, CheckSummary } from './check.ts';
import type { StoredKind } from './finding.ts';
import { reportExtra, reportUnlessGone, unread } from './report.ts';

/** What the records say. */
interface CheckedRecords {
  readonly counts: Pick<CheckSummary, 'realisations' | 'logs' | 'targets'>;
  /** Artifact → build keys whose realisations name it. */
  readonly producers: ReadonlyMap<Digest, readonly Digest[]>;
}

const NO_RECORD = 'cannot be parsed, or is not about what its name says';
const REALISE = 'Realise the target again; the record is then written anew.';

/** Reads every realisation, log and record of a target. */
export async function checkRecords(check: Check): Promise<CheckedRecords> {
  const producers = new Map<Digest, Digest[]>();
  const realisations = await eachNamed(check, 'realisations', '.json', isDigest, async (key) => {
    const artifact = await checkRealisation(check, key);
    if (artifact !== undefined) producers.set(artifact, [...(producers.get(artifact) ?? []), key]);
  });
  const logs = await eachNamed(check, 'logs', '.log.zst', isDigest, (key) => checkLog(check, key));
  const targets = await eachNamed(
    check,
    'last',
    '.json',
    (name): name is string => isTargetName(name),
    (target) => checkTarget(check, target),
  );
  return { counts: { realisations, logs, targets }, producers };
}

/** Calls `work` for every file `<name><ending>` of a folder, reports all others, and counts. */
async function eachNamed<Name extends string>(
  check: Check,
  folder: string,
  ending: string,
  isName: (name: string) => name is Name,
  work: (name: Name) => Promise<void>,
): Promise<number> {
  let count = 0;
  for (const file of await listFolder(check, folder)) {
    check.signal.throwIfAborted();
    const name = file.slice(0, -ending.length);
    if (!file.endsWith(ending) || !isName(name)) {
      reportExtra(check, `${folder}/${file}`);
      continue;
    }
    count += 1;
    await work(name);
  }
  return count;
}

/** The artifact that a realisation names, if the realisation can be believed. */
async function checkRealisation(check: Check, key: Digest): Promise<Digest | undefined> {
  const { store } = check;
  const path = `realisations/${key}.json`;
  const statement = await checkRecord(check, 'realisation', path, () => readRealisation(store, key));
  if (statement === undefined) return undefined;
  const artifact = artifactOf(statement);
  if ((await findTree(store, artifact)) === undefined) {
    const { target } = statement.predicate.buildDefinition.externalParameters;
    check.onFinding({
      trouble: 'missing',
      what: 'artifact',
      path: `artifacts/${artifact}`,
      message: `is not there, but ${path} (${target}) names it`,
      remedy: `vmbuild realize ${target}: it is built again, and must come out the same.`,
    });
  }
  return artifact;
}

async function checkTarget(check: Check, target: string): Promise<void> {
  await checkRecord(check, 'target', `last/${target}.json`, () => readTargetRecord(check.store, target));
}

/** What `read` gives; if that is nothing, though the file is there, it is reported. */
async function checkRecord<T>(
  check: Check,
  what: StoredKind,
  path: string,
  read: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    const record = await read();
    if (record !== undefined) return record;
    await reportUnlessGone(check, { trouble: 'damaged', what, path, message: NO_RECORD, remedy: REALISE });
  } catch (error) {
    await reportUnlessGone(check, unread(what, path, error, REALISE));
  }
  return undefined;
}

async function checkLog(check: Check, key: Digest): Promise<void> {
  const path = `logs/${key}.log.zst`;
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    await pipeline(createReadStream(join(check.store.layout.root, path)), createZstdDecompress(), sink);
  } catch (error) {
    await reportUnlessGone(check, unread('log', path, error, 'Remove it; the next run of the step writes it anew.'));
  }
}
