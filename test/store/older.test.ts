import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { artifactOf } from '../../src/model/realisation.ts';
import { checkStore } from '../../src/store/check/checkStore.ts';
import type { Finding } from '../../src/store/check/finding.ts';
import { collectGarbage } from '../../src/store/gc/collect.ts';
import { openStore, parseFormat } from '../../src/store/openStore.ts';
import { findRealisation, readTargetRecord } from '../../src/store/realisations.ts';
import { readRoots } from '../../src/store/roots.ts';
import { temporary } from '../support/temporary.ts';
import { keyOf, putBuild, putImage, putSource } from './makeStore.ts';

const { signal } = new AbortController();

describe('the format of a store', () => {
  it('that is older than the newest this program knows is read, and a newer one is refused', () => {
    expect(parseFormat('1\n', 3)).toBe(1);
    expect(parseFormat('3\n', 3)).toBe(3);
    expect(parseFormat('4\n', 3)).toMatch(/newer/);
    expect(parseFormat('10\n', 9)).toMatch(/newer/);
  });
});

describe('a store of the first vmbuild', () => {
  it('is read: records without seals, images without records, no roots', async () => {
    const root = join(await temporary(), 'store');
    const store = await openStore(root);
    const image = await putImage(store);
    const source = await putSource(store, 'a source');
    const lib = await putBuild(store, { target: 'lib', image, inputs: { source }, output: 'lib' });
    const inputs = { lib: { kind: 'tree', digest: artifactOf(lib) } as const };
    const app = await putBuild(store, { target: 'app', image, inputs, output: 'app' });
    store.pins[Symbol.dispose]();
    for (const folder of ['realisations', 'last']) {
      for (const name of await readdir(join(root, folder))) {
        const path = join(root, folder, name);
        const { check, ...record } = JSON.parse(await readFile(path, 'utf8')) as { check: unknown };
        expect(check).toMatch(/^[0-9a-f]{64}$/);
        await writeFile(path, `${JSON.stringify(record, null, 1)}\n`);
      }
    }
    await rm(store.layout.imageRecord(image));
    for (const folder of ['roots', 'running', 'collected', 'locks']) await removeTree(join(root, folder));

    const again = await openStore(root);
    expect(await findRealisation(again, keyOf(app))).toEqual(app);
    expect((await readTargetRecord(again, 'lib'))?.built?.buildKey).toBe(keyOf(lib));
    expect(readRoots(again).map(({ target }) => target)).toEqual(['app', 'lib']);
    const findings: Finding[] = [];
    await checkStore(again, { signal, threads: 1, onFinding: (finding) => void findings.push(finding) });
    expect(findings).toEqual([]);
    expect(await collectGarbage(again, { dryRun: false, outputsOnly: false, signal })).toMatchObject({
      collected: [],
      unknownImages: [image],
    });
  });
});
