import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { sha256 } from '../../src/model/digest.ts';
import { artifactOf } from '../../src/model/realisation.ts';
import { adoptBlob } from '../../src/store/blobs.ts';
import { collectGarbage } from '../../src/store/gc/collect.ts';
import { indexRecords } from '../../src/store/gc/recordIndex.ts';
import { type Store } from '../../src/store/openStore.ts';
import { findRealisation } from '../../src/store/realisations.ts';
import { carryOut, type Outcome } from '../../src/store/repair/carryOut.ts';
import { findForRepair, type SeenFinding } from '../../src/store/repair/findForRepair.ts';
import { keptThings, type LackingRoot, lackingRoots } from '../../src/store/repair/kept.ts';
import { chooseRepairs } from '../../src/store/repair/repairs.ts';
import { noteRoot, readRoots } from '../../src/store/roots.ts';
import { keyOf, putRoot, putSource, putSample, type Sample } from './makeStore.ts';

const { signal } = new AbortController();

/** A sample of which `app` is a root. */
async function rooted(): Promise<Sample> {
  const one = await putSample();
  await putRoot(one.store, one.app, [one.lib]);
  return one;
}

/** What a repair without making things again did: path → what and how it went; and what roots lack afterwards. */
async function repair(
  store: Store,
  between: () => unknown = () => {},
): Promise<{ done: Record<string, string>; lacking: readonly LackingRoot[]; madeOfIt: readonly string[] }> {
  const { findings } = await findForRepair(store, { signal, threads: 1 });
  await between();
  const index = await indexRecords(store);
  const kept = await keptThings(store, index);
  const done: Record<string, string> = {};
  const madeOfIt = new Set<string>();
  const repairs = chooseRepairs(findings, kept, index);
  await carryOut(store, repairs, {
    kept,
    signal,
    tell: ({ finding, remedy, madeOfIt: targets }, outcome: Outcome) => {
      done[finding.path] = outcome === 'done' ? remedy : outcome;
      for (const target of targets) madeOfIt.add(target);
    },
  });
  const lacking = await lackingRoots(store, await indexRecords(store), kept.roots);
  return { done, lacking, madeOfIt: [...madeOfIt].sort() };
}

async function findings(store: Store): Promise<readonly SeenFinding[]> {
  return (await findForRepair(store, { signal, threads: 1 })).findings;
}

function quarantine({ layout }: Store): Promise<string[]> {
  return readdir(layout.quarantine);
}

describe('a repair', () => {
  it('does nothing in a store that is well', async () => {
    const { store } = await rooted();
    expect(await repair(store)).toEqual({ done: {}, lacking: [], madeOfIt: [] });
    expect(existsSync(store.layout.quarantine)).toBe(false);
  });

  it('moves a damaged artifact away, and tells which root lacks it and what was made of it', async () => {
    const { store, lib } = await rooted();
    const digest = artifactOf(lib);
    await writeFile(join(store.layout.tree(digest), 'file'), 'other');
    const { done, lacking, madeOfIt } = await repair(store);
    expect(done).toEqual({ [`artifacts/${digest}`]: 'move-away' });
    expect(lacking).toMatchObject([{ root: { target: 'app' }, lost: new Set([digest]) }]);
    expect(madeOfIt).toEqual(['app']);
    expect(await quarantine(store)).toEqual([`artifacts-${digest}`]);
    expect(await readFile(join(store.layout.quarantine, `artifacts-${digest}`, 'file'), 'utf8')).toBe('other');
    expect(await findRealisation(store, keyOf(lib))).toBeUndefined();
    expect((await findings(store)).map(({ finding }) => finding.trouble)).toEqual(['missing']);
  });

  it('notes what nothing keeps as collected: the store is well then, and gc works', async () => {
    const { store, lib, app } = await putSample();
    await writeFile(join(store.layout.tree(artifactOf(lib)), 'file'), 'other');
    await removeTree(store.layout.tree(artifactOf(app)));
    const { done, lacking } = await repair(store);
    expect(Object.values(done).sort()).toEqual(['move-away', 'note-collected']);
    expect(lacking).toEqual([]);
    expect(await findings(store)).toEqual([]);
    await collectGarbage(store, { dryRun: false, outputsOnly: false, signal });
    expect(await quarantine(store)).toEqual([]);
  });

  it('tells what a root lost of sources and images, also the packages that an image was made of', async () => {
    const { store, image, deb, source } = await rooted();
    for (const digest of [deb, source]) await writeFile(store.layout.file(digest), 'other');
    await writeFile(join(store.layout.image(image), 'rootfs', 'usr', 'text'), 'other');
    const { done, lacking } = await repair(store);
    expect(Object.keys(done)).toHaveLength(3);
    // What the image was made of was on its record, which is gone with it: its lock tells.
    expect(lacking).toMatchObject([{ lost: new Set([image, source]) }]);
    expect((await quarantine(store)).sort()).toEqual(
      [`images-${image}`, `images-${image}.json`, `sources-${deb}`, `sources-${source}`].sort(),
    );
    expect(await findings(store)).toEqual([]);
    // A repair that was cut off here is finished by the next.
    expect((await repair(store)).lacking).toMatchObject([{ lost: new Set([image, source]) }]);
    await putSource(store, 'a source');
    expect((await repair(store)).lacking).toMatchObject([{ lost: new Set([image]) }]);
  });

  it('tells a lost package while its image is there', async () => {
    const { store, deb } = await rooted();
    await writeFile(store.layout.file(deb), 'other');
    expect((await repair(store)).lacking).toMatchObject([{ lost: new Set([deb]) }]);
  });

  it('moves records away that cannot be believed, and knows which root needs them', async () => {
    const { store, app, lib } = await rooted();
    await writeFile(store.layout.realisation(keyOf(lib)), '{');
    await writeFile(store.layout.log(keyOf(app)), '');
    await writeFile(store.layout.last('lib'), '{}');
    const { done, lacking } = await repair(store);
    expect(done).toEqual({
      [`realisations/${keyOf(lib)}.json`]: 'move-away',
      [`logs/${keyOf(app)}.log.zst`]: 'move-away',
      'last/lib.json': 'move-away',
      'roots/last-app.json': 'make-again',
    });
    expect(lacking).toMatchObject([{ root: { target: 'app' }, lost: new Set([keyOf(lib)]) }]);
  });

  it('writes a damaged root anew from what else is known: it keeps as much as before', async () => {
    const { store, app, lib } = await putSample();
    const root = await putRoot(store, app, [lib]);
    await noteRoot(store, { ...root, kind: 'added' });
    for (const name of await readdir(store.layout.roots)) await writeFile(join(store.layout.roots, name), '{');
    await writeFile(store.layout.last('app'), '{');
    const { done, lacking } = await repair(store);
    expect(done).toEqual({
      'last/app.json': 'move-away',
      [`roots/added-${keyOf(app)}.json`]: 'move-away',
      'roots/last-app.json': 'move-away',
    });
    expect(lacking).toEqual([]);
    const kept = { derivation: root.derivation, buildKey: root.buildKey, target: 'app', outputsOnly: false };
    expect(readRoots(store)).toMatchObject([
      { ...kept, kind: 'added' },
      { ...kept, kind: 'last' },
    ]);
    const { collected } = await collectGarbage(store, { dryRun: true, outputsOnly: false, signal });
    expect(collected.map(({ kind }) => kind)).not.toContain('artifact');
  });

  it('lets an attempt that failed forget what is lost, and keeps the rest of it', async () => {
    const { store, app, lib } = await putSample();
    const root = await putRoot(store, app, [lib]);
    await noteRoot(store, { ...root, kind: 'attempt', target: 'rom', buildKey: undefined });
    await rm(join(store.layout.roots, 'last-app.json'));
    await rm(store.layout.realisation(keyOf(lib)));
    expect(await repair(store)).toMatchObject({ done: { 'roots/attempt-rom.json': 'forget-steps' }, lacking: [] });
    expect(readRoots(store)).toMatchObject([{ kind: 'attempt', steps: [keyOf(app)] }]);
    expect(await findings(store)).toEqual([]);
    await rm(store.layout.realisation(keyOf(app)));
    await repair(store);
    expect(readRoots(store)).toEqual([]);
  });

  it('sets modes where nothing else is wrong', async () => {
    const { store, app, image } = await rooted();
    const tree = store.layout.tree(artifactOf(app));
    const blob = await adoptBlob(store, Buffer.from('secret'));
    await chmod(join(tree, 'file'), 0o600);
    await chmod(tree, 0o777);
    await chmod(join(store.layout.image(image), 'rootfs', 'usr'), 0o700);
    await chmod(store.layout.blob(blob), 0o644);
    const { done } = await repair(store);
    expect(Object.values(done)).toEqual(['set-modes', 'set-modes', 'set-modes']);
    expect(await findings(store)).toEqual([]);
    expect(statSync(store.layout.blob(blob)).mode & 0o777).toBe(0o600);
    expect(existsSync(store.layout.quarantine)).toBe(false);
  });

  it("leaves other people's files beside the store alone, moves those inside it away, and gc never takes them", async () => {
    const { store } = await rooted();
    const at = (path: string): string => join(store.layout.root, path);
    await writeFile(at('thesis.tex'), 'three years of work');
    await mkdir(at('artifacts/mine'));
    await writeFile(at('artifacts/mine/thesis.tex'), 'three years of work');
    await writeFile(at('realisations/.x.tmp'), '');
    const { done } = await repair(store);
    expect(done).toEqual({
      'artifacts/mine': 'move-away',
      'realisations/.x.tmp': 'move-away',
      'thesis.tex': 'leave',
    });
    await collectGarbage(store, { dryRun: false, outputsOnly: false, signal });
    expect(await quarantine(store)).toEqual(['foreign-artifacts-mine', 'foreign-realisations-.x.tmp']);
    expect(await readFile(at('quarantine/foreign-artifacts-mine/thesis.tex'), 'utf8')).toBe('three years of work');
  });

  it('puts nothing over what is in quarantine already', async () => {
    const { store, source } = await rooted();
    for (const text of ['first', 'second', 'third']) {
      await writeFile(store.layout.file(source), text);
      await repair(store);
    }
    expect((await quarantine(store)).sort()).toEqual(['', '.1', '.2'].map((end) => `sources-${source}${end}`));
    expect(await readFile(join(store.layout.quarantine, `sources-${source}`), 'utf8')).toBe('first');
  });

  it('does nothing to what was made anew since it was looked at', async () => {
    const { store, source } = await rooted();
    await writeFile(store.layout.file(source), 'other');
    const { done } = await repair(store, async () => {
      await rm(store.layout.file(source));
      await putSource(store, 'a source');
    });
    expect(done).toEqual({ [`sources/${source}`]: 'changed' });
    expect(await readFile(store.layout.file(source), 'utf8')).toBe('a source');
  });

  it('leaves the lock of somebody who is at work, and takes others that are damaged away', async () => {
    const { store, source, deb } = await rooted();
    for (const digest of [source, deb]) await writeFile(store.layout.lock('source', digest), 'x');
    await store.pins.add([source]);
    const { done } = await repair(store);
    expect(done).toEqual({ [`locks/source-${source}`]: 'in-use', [`locks/source-${deb}`]: 'move-away' });
  });

  it('says what to do if the lock is damaged that it needs itself', async () => {
    const { store } = await rooted();
    await writeFile(store.layout.gcLock, 'this is no database, and it is longer than a header of one would have to be');
    await expect(repair(store)).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
      hints: [expect.stringContaining(`rm ${store.layout.gcLock}`) as unknown],
    });
  });

  it('leaves damaged bindings to their owner: without them gc would take the blobs', async () => {
    const { store } = await rooted();
    await mkdir(join(store.layout.root, 'bindings'));
    await writeFile(store.layout.bindings('board'), '{');
    expect((await repair(store)).done).toEqual({ 'bindings/board.json': 'leave' });
    expect(sha256(await readFile(store.layout.bindings('board')))).toBe(sha256('{'));
  });
});
