import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import type { Candidate, FetchContext } from '../../src/fetchers/fetcher.ts';
import { locateGoToolchain } from '../../src/fetchers/goToolchain.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { files } from '../io/loopback.ts';
import { type FakeModule, otherZipOf, served, sums } from './fakeProxy.ts';
import { rejection, SOME_DIGEST, scratch, treeSource } from './scratch.ts';

const TOOLCHAIN: FakeModule = {
  path: 'golang.org/toolchain',
  version: 'v0.0.1-go1.26.8.linux-amd64',
  goMod: 'module golang.org/toolchain\n',
  files: {
    'bin/go': Buffer.from('\x7fELF and more', 'latin1'),
    'src/all.bash': '#!/usr/bin/env bash\n',
    'src/_go.mod': 'module std\n',
    'src/x_go.mod': 'no module file',
    VERSION: 'go1.26.8\n',
    empty: '',
  },
};
const location = { type: 'gotoolchain', version: 'go1.26.8', h1: sums(TOOLCHAIN).zip } as const;
const through = (s: { context: FetchContext }, ...proxies: string[]): FetchContext => ({
  ...s.context,
  settings: { ...s.context.settings, goProxy: proxies.join(',') },
});

test('becomes a GOROOT: modes by content, module files under their own names', async () => {
  await using s = await scratch();
  await using proxy = await files(served(TOOLCHAIN));
  const context = through(s, proxy.url);
  const [candidate] = await locateGoToolchain(treeSource(SOME_DIGEST, []), location, context);
  const first = join(s.folder, 'first');
  await (candidate as Candidate).fetch(first);
  expect(listTree(first).map(({ path, mode }) => `${path} ${mode.toString(8)}`)).toEqual([
    ' 755',
    'VERSION 644',
    'bin 755',
    'bin/go 755',
    'empty 644',
    'src 755',
    'src/all.bash 755',
    'src/go.mod 644',
    'src/x_go.mod 644',
  ]);
  expect(await readFile(join(first, 'src/go.mod'), 'utf8')).toBe('module std\n');

  // The same through fetchSource and from another packing.
  await using other = await files(served(TOOLCHAIN, TOOLCHAIN.path, otherZipOf));
  const digest = treeDigest(first, listTree(first));
  const path = await fetchSource(treeSource(digest, [location]), through(s, other.url));
  expect(treeDigest(path, listTree(path))).toBe(digest);
  expect(await s.left()).toEqual(['content']);
});

test('a tampered toolchain is refused, and the next proxy asked', async () => {
  await using s = await scratch();
  await using bad = await files(served({ ...TOOLCHAIN, files: { ...TOOLCHAIN.files, VERSION: 'evil\n' } }));
  await using good = await files(served(TOOLCHAIN));
  const error = await rejection(fetchSource(treeSource(SOME_DIGEST, [location]), through(s, bad.url)));
  expect(error.code).toBe('SOURCE_MISMATCH');
  expect(error.message).toContain(`expected ${location.h1}, found h1:`);
  expect(await s.left()).toEqual([]);
  // Right by its h1, but not the tree that is recorded.
  const other = await rejection(fetchSource(treeSource(SOME_DIGEST, [location]), through(s, bad.url, good.url)));
  expect(other.message).toContain(`expected sha256 ${SOME_DIGEST}, found `);
  expect(await s.left()).toEqual([]);
});

test('a toolchain with two files for one name is refused', async () => {
  await using s = await scratch();
  const module = { ...TOOLCHAIN, files: { 'src/_go.mod': 'a', 'src/go.mod': 'b' } };
  await using proxy = await files(served(module));
  const source = treeSource(SOME_DIGEST, [{ ...location, h1: sums(module).zip }]);
  expect((await rejection(fetchSource(source, through(s, proxy.url)))).message).toContain('EEXIST');
  expect(await s.left()).toEqual([]);
});

test.each([{ version: '../1.0' }, { version: 'go1.26.8/..' }, { h1: 'sha256:x' }])('refuses %o', async (bad) => {
  await using s = await scratch();
  const source = treeSource(SOME_DIGEST, [{ ...location, ...bad }]);
  expect((await rejection(fetchSource(source, s.context))).code).toBe('RECIPE_INVALID');
});
