import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { ownerPrefix } from '../../src/io/owner.ts';
import { sha256 } from '../../src/model/digest.ts';
import { artifactOf, type Realisation } from '../../src/model/realisation.ts';
import { checkStore } from '../../src/store/check/checkStore.ts';
import type { Finding } from '../../src/store/check/finding.ts';
import { type Collection, collectGarbage, type CollectOptions } from '../../src/store/gc/collect.ts';
import { openStoreForReading, type Store } from '../../src/store/openStore.ts';
import { findRealisation } from '../../src/store/realisations.ts';
import { noteRoot, readRoots, removeRoot } from '../../src/store/roots.ts';
import { temporary } from '../support/temporary.ts';
import { keyOf, putBuild, putRoot, putSource, reopen, putSample, type Sample } from './makeStore.ts';

const DAY = 24 * 3600 * 1000;

async function collect(store: Store, options: Partial<CollectOptions> = {}): Promise<Collection> {
  const signal = new AbortController().signal;
  return collectGarbage(store, { dryRun: false, outputsOnly: false, signal, ...options });
}

async function problems(store: Store): Promise<Finding[]> {
  const findings: Finding[] = [];
  const signal = new AbortController().signal;
  await checkStore(store, { signal, threads: 1, onFinding: (finding) => void findings.push(finding) });
  return findings;
}

/** What is there of a sample, by name. */
function left({ store: { layout }, lib, app, image, deb, source }: Sample): string[] {
  const paths = {
    lib: layout.tree(artifactOf(lib)),
    app: layout.tree(artifactOf(app)),
    image: layout.image(image),
    deb: layout.file(deb),
    source: layout.file(source),
    libLog: layout.log(keyOf(lib)),
    appLog: layout.log(keyOf(app)),
  };
  return Object.entries(paths).flatMap(([name, path]) => (existsSync(path) ? [name] : []));
}

const EVERYTHING = ['lib', 'app', 'image', 'deb', 'source', 'libLog', 'appLog'];
/** Logs of last runs stay, because `vmbuild log` shows them. */
const LOGS = ['libLog', 'appLog'];

describe('garbage collection', () => {
  it('keeps the last result of a target with everything that it was made of', async () => {
    const one = await putSample();
    await putRoot(one.store, one.app, [one.lib]);
    expect((await collect(one.store)).collected).toEqual([]);
    expect(left(one)).toEqual(EVERYTHING);
    expect(await problems(one.store)).toEqual([]);
  });

  it('finds out from realisations what a root was made of, where nobody has noted it', async () => {
    const one = await putSample();
    const root = await putRoot(one.store, one.app);
    await noteRoot(one.store, { ...root, steps: undefined });
    expect((await collect(one.store)).collected).toEqual([]);
    expect(left(one)).toEqual(EVERYTHING);
  });

  it('takes what no root keeps, says what, and leaves a store that is well', async () => {
    const one = await putSample();
    const { collected, freed } = await collect(one.store);
    expect(collected.map(({ kind }) => kind).sort()).toEqual(['artifact', 'artifact', 'image', 'source', 'source']);
    expect(freed).toBeGreaterThan(20_000);
    expect(left(one)).toEqual(LOGS);
    expect(await readdir(one.store.layout.temporary)).toEqual([]);
    expect(await readdir(join(one.store.layout.root, 'images'))).toEqual([]);
    expect(await problems(one.store)).toEqual([]);
  });

  it('keeps the realisation of what it took, which binds whoever builds it again', async () => {
    const one = await putSample();
    await collect(one.store);
    expect(await findRealisation(one.store, keyOf(one.app))).toBeUndefined();
    expect(existsSync(one.store.layout.realisation(keyOf(one.app)))).toBe(true);
    const { target, output } = { target: 'lib', output: 'lib' };
    await putBuild(one.store, { target, image: one.image, output });
    expect(await findRealisation(one.store, keyOf(one.lib))).toEqual(one.lib);
    // From now on it is missed if it goes away.
    await removeTree(one.store.layout.tree(artifactOf(one.lib)));
    expect(await problems(one.store)).toMatchObject([{ trouble: 'missing', what: 'artifact' }]);
  });

  it.each([true, false])('can let roots keep their outputs only (asked of all of them: %s)', async (ofAll) => {
    const one = await putSample();
    const root = await putRoot(one.store, one.app, [one.lib]);
    if (!ofAll) await noteRoot(one.store, { ...root, outputsOnly: true });
    await collect(one.store, { outputsOnly: ofAll });
    expect(left(one)).toEqual(['app', ...LOGS]);
    expect(await problems(one.store)).toEqual([]);
  });

  it('keeps what was finished of a target that then failed, until it succeeds', async () => {
    const one = await putSample();
    const at = new Date().toISOString();
    const attempt = { kind: 'attempt', target: 'app', derivation: sha256('app'), outputsOnly: false, at } as const;
    await noteRoot(one.store, { ...attempt, steps: [keyOf(one.lib)] });
    await collect(one.store);
    expect(left(one)).toEqual(['lib', 'image', 'deb', ...LOGS]);
    const app = await putBuild(one.store, { target: 'app', image: one.image, output: 'other' });
    await putRoot(one.store, app);
    expect(readRoots(one.store).map(({ kind }) => kind)).toEqual(['last']);
    await collect(await reopen(one.store));
    expect(left(one)).not.toContain('lib');
  });

  it('with --dry-run says the same, and touches nothing, also of a store that is only read', async () => {
    const one = await putSample();
    const reader = await openStoreForReading(one.store.layout.root);
    const said = (await collect(reader, { dryRun: true })).collected;
    expect(left(one)).toEqual(EVERYTHING);
    expect((await collect(one.store)).collected).toEqual(said);
  });

  it('takes what failed builds and repairs have put aside', async () => {
    const { store } = await putSample();
    for (const folder of ['failed', 'quarantine']) {
      await mkdir(join(store.layout.root, folder, 'x-1', 'deep'), { recursive: true });
      await writeFile(join(store.layout.root, folder, 'x-1', 'deep', 'file'), 'content');
    }
    const { collected } = await collect(store, { dryRun: true });
    expect(collected.map(({ path }) => path)).toEqual(expect.arrayContaining(['failed/x-1', 'quarantine/x-1']));
    await collect(store);
    expect(await readdir(join(store.layout.root, 'failed'))).toEqual([]);
    expect(await readdir(join(store.layout.root, 'quarantine'))).toEqual([]);
  });

  it('takes the logs of build keys that are results no more', async () => {
    const one = await putSample();
    const image = one.image;
    const newer = await putBuild(one.store, {
      target: 'lib',
      image,
      output: 'newer',
      inputs: { s: await putSource(one.store, 's') },
    });
    await putRoot(one.store, newer);
    await collect(await reopen(one.store));
    expect(left(one)).toEqual(['image', 'deb', 'appLog']);
    expect(existsSync(one.store.layout.log(keyOf(newer)))).toBe(true);
  });

  it('takes the logs and reports of verifications with the logs, and what they found out with the realisation', async () => {
    const one = await putSample();
    await putRoot(one.store, one.lib);
    const { layout } = one.store;
    const [kept, dead, unknown] = [keyOf(one.lib), keyOf(one.app), sha256('a key without a realisation')];
    await mkdir(layout.verifications);
    for (const key of [kept, dead, unknown]) {
      for (const ending of ['json', 'log', 'txt', 'html']) {
        await writeFile(join(layout.verifications, `${key}.${ending}`), 'x'.repeat(10_000));
      }
    }
    await writeFile(join(layout.verifications, 'notes.txt'), 'somebody’s');
    const said = await collect(one.store, { dryRun: true });
    const { collected } = await collect(await reopen(one.store));
    expect(collected).toEqual(said.collected);
    const gone = collected.flatMap(({ kind, path }) => (kind === 'verification' ? [path.replace(/^.*\//, '')] : []));
    const logs = (key: string): string[] => ['html', 'log', 'txt'].map((ending) => `${key}.${ending}`);
    expect(gone.sort()).toEqual([...logs(dead), ...logs(unknown), `${unknown}.json`].sort());
    const left = await readdir(layout.verifications);
    expect(left.sort()).toEqual([...logs(kept), `${kept}.json`, `${dead}.json`, 'notes.txt'].sort());
  });

  it('removes an image that lies elsewhere by its link, and nothing behind it', async () => {
    const { store } = await putSample();
    const elsewhere = await temporary();
    await writeFile(join(elsewhere, 'config.json'), '{}');
    const digest = sha256('{}');
    await symlink(elsewhere, store.layout.image(digest));
    await collect(store);
    expect(existsSync(store.layout.image(digest))).toBe(false);
    expect(await readdir(elsewhere)).toEqual(['config.json']);
  });

  it('leaves names that are not vmbuild’s alone', async () => {
    const { store } = await putSample();
    await writeFile(join(store.layout.root, 'sources', 'notes'), '');
    await collect(store);
    expect(await readdir(join(store.layout.root, 'sources'))).toEqual(['notes']);
  });
});

describe('what is in use', () => {
  it('stays as long as the process that pinned it', async () => {
    const one = await putSample();
    await one.store.pins.add([artifactOf(one.lib), one.image, one.source]);
    await collect(one.store);
    expect(left(one)).toEqual(['lib', 'image', 'source', ...LOGS]);
    await collect(await reopen(one.store));
    expect(left(one)).toEqual(LOGS);
  });

  it('stays between being adopted and being recorded', async () => {
    const one = await putSample();
    const app = await putBuild(one.store, { target: 'app', image: one.image, output: 'third' });
    await removeTree(join(one.store.layout.root, 'realisations'));
    await collect(one.store);
    expect(existsSync(one.store.layout.tree(artifactOf(app)))).toBe(true);
  });

  it('is nothing of a process that has ended, whatever it has left', async () => {
    const one = await putSample();
    await writeFile(join(one.store.layout.running, '00000000.1.1.1.1'), `\n${one.source}\n`);
    await collect(one.store);
    expect(left(one)).toEqual(LOGS);
  });

  it('counts although a full disk cut a line off', async () => {
    const one = await putSample();
    const pins = join(one.store.layout.running, `${ownerPrefix()}x`);
    await writeFile(pins, `\n${one.image}\n${one.deb.slice(0, 20)}\n${one.source}\n`);
    await collect(one.store);
    expect(left(one)).toEqual(['image', 'source', ...LOGS]);
  });

  it('leaves the locks of what is in use, and no others', async () => {
    const one = await putSample();
    const { layout } = one.store;
    for (const digest of [one.source, one.deb]) await writeFile(layout.lock('source', digest), '');
    await one.store.pins.add([one.source]);
    await collect(one.store);
    expect((await readdir(join(layout.root, 'locks'))).sort()).toEqual(['gc', `source-${one.source}`]);
  });
});

describe('what a collection leaves to later', () => {
  /** Makes a realisation look as if it had been recorded so many days ago. */
  async function age(store: Store, statement: Realisation, days: number): Promise<void> {
    const then = new Date(Date.now() - days * DAY);
    await utimes(store.layout.realisation(keyOf(statement)), then, then);
  }

  it('is what was used within --older-than', async () => {
    const one = await putSample();
    const soon = { olderThan: 30 * DAY, now: Date.now() + 29 * DAY };
    expect((await collect(one.store, soon)).collected).toEqual([]);
    expect((await collect(one.store, { ...soon, now: Date.now() + 31 * DAY })).collected).toHaveLength(5);
  });

  it('counts a result as used until it was none any more, and so everything that it was made of', async () => {
    const one = await putSample();
    const root = await putRoot(one.store, one.app, [one.lib]);
    await age(one.store, one.app, 100);
    await age(one.store, one.lib, 200);
    await removeRoot(one.store, root);
    // Files are as old as they look only in 60 days; the results of `app` were in use until today.
    const now = Date.now() + 60 * DAY;
    expect((await collect(one.store, { olderThan: 61 * DAY, now })).collected).toEqual([]);
    expect((await collect(one.store, { olderThan: 59 * DAY, now })).collected).toHaveLength(5);
  });

  it('is what fits into --max-size, the longest unused first', async () => {
    const one = await putSample();
    const { size = 0, collected: none } = await collect(one.store, { maxSize: 1e12 });
    expect(none).toEqual([]);
    const ahead = new Date(Date.now() + 5 * DAY);
    await utimes(one.store.layout.realisation(keyOf(one.lib)), ahead, ahead);
    const { collected, size: after } = await collect(one.store, { maxSize: size - 1 });
    // `lib` and the image were used last.
    expect(collected).toHaveLength(1);
    expect(left(one)).toEqual(expect.arrayContaining(['lib', 'image']));
    expect(after).toBeLessThan(size);
    const all = await collect(one.store, { maxSize: 0 });
    expect(all.collected).toHaveLength(4);
    expect(all.size).toBeGreaterThan(0);
  });

  it('is every source that is a file, if nobody has noted what an image was made of', async () => {
    const one = await putSample();
    await putRoot(one.store, one.lib);
    await rm(one.store.layout.imageRecord(one.image));
    expect((await collect(one.store)).unknownImages).toEqual([one.image]);
    expect(left(one)).toEqual(['lib', 'image', 'deb', 'source', ...LOGS]);
    await writeFile(one.store.layout.imageRecord(one.image), '{"sources":[]}');
    expect((await collect(one.store)).unknownImages).toEqual([one.image]);
  });
});

describe('a collection that cannot know what a root keeps', () => {
  const damages: [string, (one: Sample) => Promise<unknown>][] = [
    ['the root cannot be parsed', ({ store }) => writeFile(join(store.layout.roots, 'last-app.json'), '{"kind"')],
    [
      'a bit of the root has turned over',
      async ({ store, app }) => {
        const path = join(store.layout.roots, 'last-app.json');
        const key = keyOf(app);
        const other = key.replace(/^./, (digit) => (Number.parseInt(digit, 16) ^ 1).toString(16));
        await writeFile(path, (await readFile(path, 'utf8')).replaceAll(key, other));
      },
    ],
    ['a realisation is gone', ({ store, lib }) => removeTree(store.layout.realisation(keyOf(lib)))],
    ['a realisation is damaged', ({ store, lib }) => writeFile(store.layout.realisation(keyOf(lib)), '{}')],
    [
      'a realisation names another artifact',
      async ({ store, lib }) => {
        const path = store.layout.realisation(keyOf(lib));
        await writeFile(path, (await readFile(path, 'utf8')).replace(artifactOf(lib), sha256('other')));
      },
    ],
    ['an artifact is lost', ({ store, lib }) => removeTree(store.layout.tree(artifactOf(lib)))],
  ];
  it.each(damages)('takes nothing: %s', async (_what, damage) => {
    const one = await putSample();
    await putRoot(one.store, one.app, [one.lib]);
    await damage(one);
    const before = left(one);
    await expect(collect(one.store)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    expect(left(one)).toEqual(before);
    expect(await problems(one.store)).not.toEqual([]);
  });
});
