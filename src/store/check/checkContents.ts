import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentAnswer, ContentJob } from '../../io/contentReader.ts';
import { exists } from '../../io/files.ts';
import { type Digest, isDigest, sha256 } from '../../model/digest.ts';
import type { ArtifactFacts, Realisation } from '../../model/realisation.ts';
import { onlyLayer, readImageRecord } from '../images.ts';
import { readRealisation } from '../realisations.ts';
import { listFolder } from './checkFolders.ts';
import type { Check } from './check.ts';
import type { StoredKind } from './finding.ts';
import { reportExtra, reportUnlessGone, unread } from './report.ts';

/** Folders of what is named by its content. */
export type ContentFolder = 'artifacts' | 'sources' | 'images';

/** What was read. */
interface CheckedContents {
  readonly counts: Readonly<Record<ContentFolder, number>>;
  readonly bytes: number;
}

/** Something to read: its folder and name. */
interface Item {
  readonly folder: ContentFolder;
  readonly digest: Digest;
}

const REMEDY = 'vmbuild store check --repair moves it away and makes it again.';

/** Computes the digests of all artifacts, sources and images. */
export async function checkContents(
  check: Check,
  producers: ReadonlyMap<Digest, readonly Digest[]>,
): Promise<CheckedContents> {
  const items: Item[] = [];
  const counts = { artifacts: 0, sources: 0, images: 0 };
  for (const folder of ['artifacts', 'sources', 'images'] as const) {
    for (const name of await listFolder(check, folder)) {
      if (folder === 'images' && name.endsWith('.json') && isDigest(name.slice(0, -5))) continue;
      if (!isDigest(name)) {
        reportExtra(check, `${folder}/${name}`);
        continue;
      }
      counts[folder] += 1;
      items.push({ folder, digest: name });
    }
  }
  let done = 0;
  let bytes = 0;
  let next = 0;
  const serve = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      check.signal.throwIfAborted();
      const read = await checkItem(check, item, producers);
      bytes += read;
      done += 1;
      check.onProgress?.({ done, total: items.length, bytes });
    }
  };
  await Promise.all(Array.from({ length: check.reader.threads }, serve));
  return { counts, bytes };
}

async function checkItem(
  check: Check,
  { folder, digest }: Item,
  producers: ReadonlyMap<Digest, readonly Digest[]>,
): Promise<number> {
  switch (folder) {
    case 'artifacts': {
      const facts = await checkTree(check, 'artifact', `artifacts/${digest}`, 'artifact', digest);
      if (facts !== undefined) for (const key of producers.get(digest) ?? []) await checkSubjects(check, key, facts);
      return facts?.size ?? 0;
    }
    case 'sources':
      return (await checkFile(check, digest)) ?? 0;
    case 'images':
      return await checkImage(check, digest);
  }
}

async function checkFile(check: Check, digest: Digest): Promise<number | undefined> {
  const path = `sources/${digest}`;
  const answer = await read(check, 'source', path, { kind: 'file', path: join(check.store.layout.root, path) });
  if (answer === undefined) return undefined;
  if (answer.facts.digest !== digest) await reportOther(check, 'source', path, answer.facts.digest);
  return answer.facts.size;
}

/** Reads a tree and compares its digest; returns what is known of it if that is right. */
async function checkTree(
  check: Check,
  what: StoredKind,
  path: string,
  kind: 'artifact' | 'image',
  expected: Digest,
  item = path,
): Promise<ArtifactFacts | undefined> {
  const answer = await read(check, what, item, { kind, path: join(check.store.layout.root, path) });
  if (answer === undefined) return undefined;
  if (answer.facts.digest !== expected) {
    await reportOther(check, what, item, answer.facts.digest, expected);
    return undefined;
  }
  const wrong = answer.wrongModes.length;
  if (wrong > 0) {
    const first = JSON.stringify(answer.wrongModes[0] || '.');
    const message = `has ${wrong} entries whose modes are not canonical, the first is ${first}`;
    await reportUnlessGone(check, {
      trouble: 'damaged',
      what,
      path: item,
      onlyModes: true,
      message,
      remedy: 'vmbuild store check --repair gives it the right modes.',
    });
  }
  return answer.facts;
}

/** An image is its config, which names it, and its root, the digest of whose canonical tar is on record. */
async function checkImage(check: Check, digest: Digest): Promise<number> {
  const path = `images/${digest}`;
  const folder = check.store.layout.image(digest);
  const damaged = (message: string): Promise<void> =>
    reportUnlessGone(check, { trouble: 'damaged', what: 'image', path, message, remedy: REMEDY });
  try {
    // A link to a folder elsewhere is as good.
    if (!(await stat(folder)).isDirectory()) {
      await damaged('is not a folder');
      return 0;
    }
    for (const name of await readdir(folder))
      if (name !== 'rootfs' && name !== 'config.json') reportExtra(check, `${path}/${name}`);
    const config = await readFile(join(folder, 'config.json'), 'utf8');
    if (sha256(config) !== digest) {
      await damaged('has a config.json that is not what its name says');
      return 0;
    }
    const record = await readImageRecord(check.store, digest);
    if (record === 'damaged') await damaged(`has a record ${path}.json that cannot be believed`);
    // Without a record it is one that was assembled here: its root is its one layer.
    const root = record === 'damaged' || record === undefined ? onlyLayer(config) : record.rootfs;
    if (root === undefined) {
      await damaged('has several layers and no record of what its root is');
      return 0;
    }
    return (await checkTree(check, 'image', `${path}/rootfs`, 'image', root, path))?.size ?? 0;
  } catch (error) {
    await reportUnlessGone(check, unread('image', path, error, REMEDY));
    return 0;
  }
}

/** What a realisation says of the artifact's files must be true, too: it is what people compare with sha256sum. */
async function checkSubjects(check: Check, key: Digest, facts: ArtifactFacts): Promise<void> {
  const statement = await readRealisation(check.store, key);
  if (statement === undefined || saysOf(statement, facts)) return;
  check.onFinding({
    trouble: 'damaged',
    what: 'realisation',
    path: `realisations/${key}.json`,
    message: `says other things of the files of artifact ${facts.digest} than are true`,
    remedy: 'Realise the target again; the record is then written anew.',
  });
}

function saysOf({ subject: [artifact, ...files] }: Realisation, facts: ArtifactFacts): boolean {
  return (
    artifact?.annotations.size === facts.size &&
    files.length === facts.files.length &&
    facts.files.every(({ name, digest, size }, index) => {
      const said = files[index];
      return said?.name === name && said.digest.sha256 === digest && said.annotations.size === size;
    })
  );
}

/** Reads; what cannot be read is reported, unless it is gone. */
async function read(
  check: Check,
  what: StoredKind,
  item: string,
  job: ContentJob,
): Promise<(ContentAnswer & { readonly ok: true }) | undefined> {
  const top = join(check.store.layout.root, item);
  for (let round = 1; ; round += 1) {
    check.signal.throwIfAborted();
    const answer = await check.reader.read(job);
    if (answer.ok) return answer;
    if (!(await exists(top))) return undefined;
    // It was collected while it was read, and has been made again.
    if (answer.code === 'ENOENT' && round === 1) continue;
    const error = Object.assign(new Error(answer.message), { code: answer.code });
    check.onFinding(unread(what, item, error, REMEDY));
    return undefined;
  }
}

async function reportOther(
  check: Check,
  what: StoredKind,
  path: string,
  found: Digest,
  expected?: Digest,
): Promise<void> {
  const message = `has other content than its name says: ${found}${expected === undefined ? '' : `, not ${expected}`}`;
  await reportUnlessGone(check, { trouble: 'damaged', what, path, message, remedy: REMEDY });
}
