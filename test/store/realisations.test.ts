import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { type BuildKeyDocument, buildKey } from '../../src/model/buildKey.ts';
import { sha256 } from '../../src/model/digest.ts';
import { artifactOf, type Realisation, realisation } from '../../src/model/realisation.ts';
import { adoptTree } from '../../src/store/artifacts.ts';
import { readLog, storeLog } from '../../src/store/logs.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { findRealisation, noteRun, readTargetRecord, recordRealisation } from '../../src/store/realisations.ts';
import { temporary } from '../support/temporary.ts';
import { RUN } from '../support/runFacts.ts';

const document: BuildKeyDocument = {
  format: 1,
  platform: 'linux/amd64',
  sandbox: 1,
  image: sha256('image'),
  command: ['true'],
  env: {},
  recipe: sha256('recipe'),
  sourceDateEpoch: 1,
  inputs: {},
};
const key = buildKey(document);

async function statementIn(store: Store): Promise<Realisation> {
  const folder = await mkdtemp(join(store.layout.temporary, 'x-'));
  await writeFile(join(folder, 'file'), 'content');
  return realisation(await adoptTree(store, folder), {
    target: 'one',
    derivation: sha256('derivation'),
    buildKey: key,
    document,
    ...RUN,
  });
}

describe('a realisation', () => {
  it('is found as it was recorded', async () => {
    const store = await openStore(await temporary());
    const statement = await statementIn(store);
    expect(await findRealisation(store, key)).toBeUndefined();
    await recordRealisation(store, statement);
    expect(await findRealisation(store, key)).toEqual(statement);
    expect(await readdir(join(store.layout.root, 'realisations'))).toEqual([`${key}.json`]);
  });

  it('is never recorded before its artifact is there', async () => {
    const store = await openStore(await temporary());
    const statement = await statementIn(store);
    await removeTree(store.layout.tree(artifactOf(statement)));
    await expect(recordRealisation(store, statement)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect((await readdir(store.layout.root)).includes('realisations')).toBe(false);
  });

  it('does not count without its artifact', async () => {
    const store = await openStore(await temporary());
    const statement = await statementIn(store);
    await recordRealisation(store, statement);
    await removeTree(store.layout.tree(artifactOf(statement)));
    expect(await findRealisation(store, key)).toBeUndefined();
  });

  it.each([
    ['empty', () => ''],
    ['cut off', (all: string) => all.slice(0, all.length / 2)],
    ['zeros', (all: string) => '\0'.repeat(all.length)],
    ['null', () => 'null'],
    ['a list', () => '[]'],
    ['without subject', (all: string) => JSON.stringify({ ...(JSON.parse(all) as object), subject: [] })],
    ['that of another build key', (all: string) => all.replaceAll(key, sha256('another'))],
    ['of a document that does not give the key', (all: string) => all.replace('"true"', '"false"')],
    ['without times', (all: string) => all.replace(/"metadata"/, '"other"')],
    ['without sizes', (all: string) => all.replaceAll('"annotations"', '"other"')],
    ['with a digest that is none', (all: string) => all.replaceAll(/"sha256": "[0-9a-f]{64}"/g, '"sha256": "../../x"')],
  ])('does not count if it is %s', async (_what, spoil) => {
    const store = await openStore(await temporary());
    const statement = await statementIn(store);
    await mkdir(join(store.layout.root, 'realisations'));
    const all = JSON.stringify(statement, null, 1);
    await writeFile(store.layout.realisation(key), all);
    expect(await findRealisation(store, key)).toBeDefined();
    await writeFile(store.layout.realisation(key), spoil(all));
    expect(await findRealisation(store, key)).toBeUndefined();
  });

  it('that cannot be read is an error, and not taken for missing', async () => {
    const store = await openStore(await temporary());
    await mkdir(store.layout.realisation(key), { recursive: true });
    await expect(findRealisation(store, key)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
  });
});

describe('the record of a target', () => {
  const run = { derivation: sha256('d'), buildKey: key, at: '2026-01-01T00:00:00Z', durationMs: 7 };
  const later = { ...run, buildKey: sha256('k'), durationMs: 0 };

  it('knows the last run and the last success', async () => {
    const store = await openStore(await temporary());
    expect(await readTargetRecord(store, 'one')).toBeUndefined();
    await noteRun(store, 'one', 'failed', later);
    expect(await readTargetRecord(store, 'one')).toEqual({ target: 'one', last: { ...later, outcome: 'failed' } });
    await noteRun(store, 'one', 'built', run);
    await noteRun(store, 'one', 'failed', later);
    expect(await readTargetRecord(store, 'one')).toEqual({
      target: 'one',
      last: { ...later, outcome: 'failed' },
      built: run,
    });
    expect(await readTargetRecord(store, 'two')).toBeUndefined();
  });

  it.each(['', '{"target":"one"', '{"target":"two","last":{}}', '{"target":"one","last":{"buildKey":"x"}}', 'null'])(
    'that reads %j is none',
    async (content) => {
      const store = await openStore(await temporary());
      await mkdir(join(store.layout.root, 'last'));
      await writeFile(store.layout.last('one'), content);
      expect(await readTargetRecord(store, 'one')).toBeUndefined();
    },
  );
});

describe('a log', () => {
  async function read(store: Store): Promise<string | false> {
    const to = new PassThrough();
    const all = text(to);
    const found = await readLog(store, key, to);
    to.end();
    return found ? await all : (await all, false);
  }

  it('is kept compressed, the last one of each build key', async () => {
    const store = await openStore(await temporary());
    expect(await read(store)).toBe(false);
    for (const content of ['first\n'.repeat(100_000), 'second\n']) {
      const plain = join(store.layout.temporary, 'log');
      await writeFile(plain, content);
      await storeLog(store, key, plain);
      expect(await read(store)).toBe(content);
    }
    await storeLog(store, key, Buffer.from('held in memory\n'));
    expect(await read(store)).toBe('held in memory\n');
    expect(await readdir(join(store.layout.root, 'logs'))).toEqual([`${key}.log.zst`]);
  });

  it('that was cut off by a crash is said to be damaged', async () => {
    const store = await openStore(await temporary());
    const plain = join(store.layout.temporary, 'log');
    await writeFile(plain, Array.from({ length: 50_000 }, (_, index) => sha256(String(index))).join('\n'));
    await storeLog(store, key, plain);
    const { truncate } = await import('node:fs/promises');
    await truncate(store.layout.log(key), 10_000);
    await expect(read(store)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    await rm(store.layout.log(key));
    expect(await read(store)).toBe(false);
  });
});
