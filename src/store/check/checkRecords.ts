import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { exists } from '../../io/files.ts';
import { isDigest, toDigest, type Digest } from '../../model/digest.ts';
import { isTargetName } from '../../model/names.ts';
import { artifactOf, type Realisation } from '../../model/realisation.ts';
import { findTree } from '../artifacts.ts';
import type { Store } from '../openStore.ts';
import { readRealisation, readTargetRecord } from '../realisations.ts';
import { readSharedVerifications, readVerifications } from '../verifications.ts';
import { parseRoot, type Root } from '../roots.ts';
import { listFolder } from './checkFolders.ts';
import type { Check, CheckSummary } from './check.ts';
import type { StoredKind } from './finding.ts';
import { reportExtra, reportUnlessGone, unread } from './report.ts';

/** What the records say. */
interface CheckedRecords {
  readonly counts: Pick<CheckSummary, 'realisations' | 'logs' | 'targets' | 'roots'>;
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
  const roots = await eachNamed(
    check,
    'roots',
    '.json',
    (name): name is string => /^(last|attempt|added)-/.test(name),
    (name) => checkRoot(check, name),
  );
  await eachNamed(check, 'verifications', '', isVerificationFile, (file) => checkVerification(check, file));
  return { counts: { realisations, logs, targets, roots }, producers };
}

/** Records, the logs of builds that gave other bytes, and diffoscope's reports. */
function isVerificationFile(name: string): name is string {
  return /^[0-9a-f]{64}\.(json|log|txt|html)$/.test(name);
}

async function checkVerification(check: Check, file: string): Promise<void> {
  if (!file.endsWith('.json')) return;
  const key = toDigest(file.slice(0, -'.json'.length));
  await checkRecord(check, 'verification', `verifications/${file}`, async () => {
    const found = [...readVerifications(check.store, key), ...readSharedVerifications(check.store, key)];
    return found.length > 0 ? found : undefined;
  });
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
    const name = file.slice(0, file.length - ending.length);
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
  if (!(await isHere(store, artifact)) && !(await exists(store.layout.collected(artifact)))) {
    // Or it has been made again in this moment.
    if (!(await isHere(store, artifact))) reportMissing(check, statement, `${path} names it`);
  }
  return artifact;
}

async function isHere(store: Store, artifact: Digest): Promise<boolean> {
  return (await findTree(store, artifact)) !== undefined;
}

function reportMissing(check: Check, statement: Realisation, why: string): void {
  const { target } = statement.predicate.buildDefinition.externalParameters;
  check.onFinding({
    trouble: 'missing',
    what: 'artifact',
    path: `artifacts/${artifactOf(statement)}`,
    message: `(${target}) is not there, but ${why}`,
    remedy: `vmbuild realize ${target}: it is built again, and must come out the same.`,
  });
}

/** What a root keeps must be known, or a collection would take it; and its own artifact is never collected. */
async function checkRoot(check: Check, name: string): Promise<void> {
  const { store } = check;
  const path = `roots/${name}.json`;
  const read = async (): Promise<Root | undefined> =>
    parseRoot(await readFile(join(store.layout.roots, `${name}.json`), 'utf8'), `${name}.json`);
  const root = await checkRecord(check, 'root', path, read);
  if (root === undefined) return;
  const { buildKey, steps = [], target } = root;
  for (const key of new Set([...(buildKey === undefined ? [] : [buildKey]), ...steps])) {
    const statement = await readRealisation(store, key);
    if (statement === undefined) {
      const message = `names the build key ${key}, of which no realisation can be read`;
      const remedy = `vmbuild realize ${target}, or, if it is not wanted any more: vmbuild root rm ${target}`;
      await reportUnlessGone(check, { trouble: 'missing', what: 'root', path, message, remedy });
    } else if (key === buildKey && !(await isHere(store, artifactOf(statement)))) {
      // Where it was not collected, the realisation has told.
      if (await exists(store.layout.collected(artifactOf(statement))))
        reportMissing(check, statement, `${path} keeps it`);
    }
  }
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
