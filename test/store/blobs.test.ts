import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import { adoptBlob, type Binding, boundBlobs, changeBindings, claimBlob, readBindings } from '../../src/store/blobs.ts';
import { checkStore } from '../../src/store/check/checkStore.ts';
import type { Finding } from '../../src/store/check/finding.ts';
import { collectGarbage } from '../../src/store/gc/collect.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { temporary } from '../support/temporary.ts';
import { putBuild, putImage, putRoot } from './makeStore.ts';

const { signal } = new AbortController();
const ME = Buffer.from('a management engine');

function binding(content: Uint8Array): Binding {
  const part = { sha256: sha256(content), size: content.length, offset: 0x1000 };
  return {
    file: { name: 'dump.bin', sha256: sha256('dump'), size: 4 },
    parts: { 'me.bin': part },
    at: '2026-01-01T00:00:00Z',
  };
}

async function bind(store: Store, content: Uint8Array, platform = 'board'): Promise<void> {
  await adoptBlob(store, content);
  await changeBindings(store, platform, signal, (before) => ({ ...before, me: binding(content) }));
}

async function findings(store: Store): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  await checkStore(store, { signal, onFinding: (finding) => void found.push(finding), threads: 1 });
  return found;
}

/** A store whose pins are those of a process that has ended. */
async function reopened(store: Store): Promise<Store> {
  store.pins[Symbol.dispose]();
  return openStore(store.layout.root);
}

async function blobsAfterGc(store: Store, outputsOnly = false): Promise<readonly string[]> {
  const fresh = await reopened(store);
  await collectGarbage(fresh, { dryRun: false, outputsOnly, signal });
  return readdir(`${store.layout.root}/blobs`);
}

describe('a vendor blob', () => {
  it('is stored for its owner only', async () => {
    const store = await openStore(await temporary());
    const digest = await adoptBlob(store, ME);
    const path = (await claimBlob(store, digest)) as string;
    expect(await readFile(path)).toEqual(ME);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(`${store.layout.root}/blobs`)).mode & 0o777).toBe(0o700);
    expect(await claimBlob(store, sha256('another'))).toBeUndefined();
  });

  it('that was damaged is mended by adding it again', async () => {
    const store = await openStore(await temporary());
    const path = store.layout.blob(await adoptBlob(store, ME));
    await writeFile(path, 'rubbish');
    await adoptBlob(store, ME);
    expect(await readFile(path)).toEqual(ME);
  });
});

describe('bindings', () => {
  it('are kept by platform, and changed as a whole', async () => {
    const store = await openStore(await temporary());
    expect(readBindings(store, 'board')).toEqual({});
    await bind(store, ME);
    await bind(store, Buffer.from('another'), 'other-board');
    expect(readBindings(store, 'board')).toEqual({ me: binding(ME) });
    expect([...boundBlobs(store)].sort()).toEqual([sha256(ME), sha256('another')].sort());
    await Promise.all(
      ['a', 'b', 'c'].map((slot) =>
        changeBindings(store, 'board', signal, (before) => ({ ...before, [slot]: binding(ME) })),
      ),
    );
    expect(Object.keys(readBindings(store, 'board')).sort()).toEqual(['a', 'b', 'c', 'me']);
  });

  it.each(['', '{', '{"format":2,"slots":{}}', '{"format":1,"slots":{"me":{}}}'])(
    'that are damaged are not taken for none: %j',
    async (text) => {
      const store = await openStore(await temporary());
      await bind(store, ME);
      await writeFile(store.layout.bindings('board'), text);
      expect(() => readBindings(store, 'board')).toThrow('the blobs bound to board cannot be told');
      // Nothing may be collected while it is not known what is bound.
      await expect(
        collectGarbage(await reopened(store), { dryRun: false, outputsOnly: false, signal }),
      ).rejects.toThrow('cannot be told');
      expect(await readdir(`${store.layout.root}/blobs`)).toEqual([sha256(ME)]);
    },
  );
});

describe('garbage collection', () => {
  it('keeps what is bound, and removes what is not', async () => {
    const store = await openStore(await temporary());
    await bind(store, ME);
    await adoptBlob(store, Buffer.from('left over'));
    expect(await blobsAfterGc(store)).toEqual([sha256(ME)]);
    await changeBindings(store, 'board', signal, () => ({}));
    expect(await blobsAfterGc(store)).toEqual([]);
  });

  it('keeps what a root was made with, as long as the root keeps that', async () => {
    const store = await openStore(await temporary());
    const image = await putImage(store);
    const blob = await adoptBlob(store, ME);
    const inputs = { 'me.bin': { kind: 'file', digest: blob } } as const;
    await putRoot(store, await putBuild(store, { target: 'flash-board', image, inputs, output: 'x' }));
    expect(await blobsAfterGc(store)).toEqual([blob]);
    expect(await blobsAfterGc(store, true)).toEqual([]);
  });
});

describe('store check', () => {
  it('finds nothing wrong with blobs and bindings that are whole', async () => {
    const store = await openStore(await temporary());
    await bind(store, ME);
    expect(await findings(await reopened(store))).toEqual([]);
  });

  it('finds what is damaged, readable by others, missing or foreign', async () => {
    const store = await openStore(await temporary());
    const { layout } = store;
    await bind(store, ME);
    await bind(store, Buffer.from('gone'), 'second');
    await bind(store, Buffer.from('open'), 'third');
    await writeFile(layout.blob(sha256(ME)), 'rubbish');
    await rm(layout.blob(sha256('gone')));
    await chmod(layout.blob(sha256('open')), 0o644);
    await writeFile(`${layout.root}/blobs/note`, '');
    await writeFile(`${layout.root}/bindings/note`, '');
    await writeFile(layout.bindings('fourth'), '[]');
    const found = (await findings(await reopened(store))).map(
      ({ trouble, what, path }) => `${trouble} ${what} ${path}`,
    );
    expect(found.sort()).toEqual(
      [
        `damaged blob blobs/${sha256(ME)}`,
        `damaged blob blobs/${sha256('open')}`,
        'damaged binding bindings/fourth.json',
        'extra other bindings/note',
        'extra other blobs/note',
        `missing blob blobs/${sha256('gone')}`,
      ].sort(),
    );
  });
});
