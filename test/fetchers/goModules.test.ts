import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import type { Candidate, FetchContext } from '../../src/fetchers/fetcher.ts';
import { locateGoModules } from '../../src/fetchers/goModules.ts';
import { goProxies, parseGoProxy } from '../../src/fetchers/goProxy.ts';
import { run } from '../../src/io/process.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import type { GoModule } from '../../src/model/source.ts';
import { deadUrl, type Loopback, files, loopback } from '../io/loopback.ts';
import { type FakeModule, otherZipOf, prefixed, served, sums, zipOf } from './fakeProxy.ts';
import { rejection, SOME_DIGEST, scratch, treeSource } from './scratch.ts';

const HELLO: FakeModule = {
  path: 'example.com/Hello',
  version: 'v1.2.3',
  goMod: 'module example.com/Hello\n\ngo 1.20\n',
  files: {
    'go.mod': 'module example.com/Hello\n\ngo 1.20\n',
    'hello.go': 'package hello\n\nconst Text = "hi"\n',
    'sub/x.txt': 'x',
  },
};
const ESCAPED = 'example.com/!hello';
const OLDER: FakeModule = { ...HELLO, version: 'v1.10.0', goMod: 'module example.com/Hello\n', files: {} };

const location = (...modules: GoModule[]) => ({ type: 'gomod', modules }) as const;

/** Fetches without knowing the digest yet; returns the tree's path. */
async function fetchTree(context: FetchContext, ...modules: GoModule[]): Promise<string> {
  const [candidate] = await locateGoModules(treeSource(SOME_DIGEST, []), location(...modules), context);
  const path = join(await mkdtemp(join(context.scratch, 'tree-')), 'content');
  await (candidate as Candidate).fetch(path);
  return path;
}

const digestOf = (path: string) => treeDigest(path, listTree(path));
const through = (s: { context: FetchContext }, ...proxies: string[]): FetchContext => ({
  ...s.context,
  settings: { ...s.context.settings, goProxy: proxies.join(',') },
});

describe('GOPROXY', () => {
  test('lists are split; direct and off are told', () => {
    expect(parseGoProxy('https://a.test/,http://b.test|direct,off,https://c.test')).toEqual({
      urls: ['https://a.test', 'http://b.test'],
      unusable: [{ where: 'GOPROXY=direct', reason: expect.stringContaining('only module proxies') }],
    });
    expect(parseGoProxy('off').unusable).toEqual([{ where: 'GOPROXY', reason: 'it names no proxy that can be used' }]);
    expect(parseGoProxy('nonsense').urls).toEqual([]);
  });

  test('the setting comes before the environment, that before the settings file of go', async () => {
    await using s = await scratch();
    const file = join(s.folder, 'env');
    await writeFile(file, 'GOFLAGS=-x\nGOPROXY=http://file.test\n');
    vi.stubEnv('GOENV', file);
    vi.stubEnv('GOPROXY', 'http://environment.test');
    try {
      expect((await goProxies({ ...s.context.settings, goProxy: 'http://setting.test' })).urls).toEqual([
        'http://setting.test',
      ]);
      expect((await goProxies(s.context.settings)).urls).toEqual(['http://environment.test']);
      vi.stubEnv('GOPROXY', '');
      expect((await goProxies(s.context.settings)).urls).toEqual(['http://file.test']);
      // Neither a setting nor a go command: the error says what to set.
      vi.stubEnv('GOENV', 'off');
      vi.stubEnv('PATH', s.folder);
      const error = await rejection(fetchSource(treeSource(SOME_DIGEST, [location()]), s.context));
      expect(error.code).toBe('SOURCE_UNAVAILABLE');
      expect(error.hints.join()).toContain('Set GOPROXY');
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('the tree', () => {
  test('has the layout of a proxy, with sorted, stored zips and synthesised files', async () => {
    await using s = await scratch();
    await using proxy = await files({ ...served(HELLO, ESCAPED), ...served(OLDER, ESCAPED) });
    const { zip, ...older } = sums(OLDER);
    const path = await fetchTree(through(s, proxy.url), sums(HELLO), older);
    expect(zip).toMatch(/^h1:/);
    const names = listTree(path)
      .filter(({ type }) => type === 'file')
      .map(({ path }) => path);
    const base = `${ESCAPED}/@v`;
    expect(names).toEqual(
      ['list', 'v1.10.0.info', 'v1.10.0.mod', 'v1.2.3.info', 'v1.2.3.mod', 'v1.2.3.zip'].map(
        (name) => `${base}/${name}`,
      ),
    );
    expect(await readFile(join(path, base, 'list'), 'utf8')).toBe('v1.10.0\nv1.2.3\n');
    expect(await readFile(join(path, base, 'v1.2.3.info'), 'utf8')).toBe('{"Version":"v1.2.3"}');
    expect(zipOf(prefixed(HELLO)).equals(await readFile(join(path, base, 'v1.2.3.zip')))).toBe(true);
  });

  test('is the same whatever way the proxy packs', async () => {
    await using s = await scratch();
    await using one = await files(served(HELLO, ESCAPED));
    await using two = await files(served(HELLO, ESCAPED, otherZipOf));
    expect(otherZipOf(prefixed(HELLO)).equals(zipOf(prefixed(HELLO)))).toBe(false);
    const digest = digestOf(await fetchTree(through(s, one.url), sums(HELLO)));
    expect(digestOf(await fetchTree(through(s, two.url), sums(HELLO)))).toBe(digest);
  });

  test('can be a proxy itself, offline', async () => {
    await using s = await scratch();
    await using proxy = await files(served(HELLO, ESCAPED));
    const tree = await fetchTree(through(s, proxy.url), sums(HELLO));
    const context = through(s, pathToFileURL(tree).href, proxy.url);
    const offline = { ...context, settings: { ...context.settings, offline: true } };
    const before = proxy.requests.length;
    const path = await fetchSource(treeSource(digestOf(tree), [location(sums(HELLO))]), offline);
    expect(digestOf(path)).toBe(digestOf(tree));
    expect(proxy.requests).toHaveLength(before);
    const none = { ...offline, settings: { ...offline.settings, goProxy: proxy.url } };
    const error = await rejection(fetchSource(treeSource(SOME_DIGEST, [location(sums(HELLO))]), none));
    expect(error.message).toContain('not tried: offline');
    expect(proxy.requests).toHaveLength(before);
  });

  test('many modules at once; a failure of one stops the rest and leaves nothing', async () => {
    await using s = await scratch();
    const many = Array.from({ length: 40 }, (_, index) => ({ ...OLDER, path: `example.com/m${index}` }));
    await using proxy = await files(Object.assign({}, ...many.map((module) => served(module))));
    const digest = digestOf(await fetchTree(through(s, proxy.url), ...many.map(sums)));
    const reversed = await fetchSource(
      treeSource(digest, [location(...many.map(sums).reverse())]),
      through(s, proxy.url),
    );
    expect(digestOf(reversed)).toBe(digest);

    await using t = await scratch();
    const lacking = { ...sums(OLDER), path: 'example.com/lacking' };
    const source = treeSource(digest, [location(lacking, ...many.map(sums))]);
    expect((await rejection(fetchSource(source, through(t, proxy.url)))).message).toContain(
      'example.com/lacking v1.10.0',
    );
    expect(await t.left()).toEqual([]);
  });

  test('an abort leaves nothing', async () => {
    const control = new AbortController();
    const reason = new Error('enough');
    await using s = await scratch({}, control.signal);
    await using proxy = await loopback(() => control.abort(reason));
    const source = treeSource(SOME_DIGEST, [location(sums(HELLO), sums(OLDER))]);
    expect(await rejection(fetchSource(source, through(s, proxy.url)))).toBe(reason);
    expect(await s.left()).toEqual([]);
  });
});

describe('hostile and broken proxies', () => {
  const zipPath = `/${ESCAPED}/@v/v1.2.3.zip`;
  const modPath = `/${ESCAPED}/@v/v1.2.3.mod`;
  const good = served(HELLO, ESCAPED);
  const cases: [string, Record<string, string | Uint8Array>, RegExp, string][] = [
    [
      'another go.mod',
      { ...good, [modPath]: 'module evil\n' },
      /go.mod: expected h1:\S+, found h1:/,
      'SOURCE_MISMATCH',
    ],
    [
      'another content',
      { ...good, [zipPath]: zipOf({ ...prefixed(HELLO), 'example.com/Hello@v1.2.3/hello.go': '' }) },
      /zip: expected h1:/,
      'SOURCE_MISMATCH',
    ],
    [
      'files outside of the module',
      { ...good, [zipPath]: zipOf({ 'example.com/Other@v1/x': '' }) },
      /is not below/,
      'SOURCE_UNAVAILABLE',
    ],
    ['no zip at all', { ...good, [zipPath]: '<html>login</html>' }, /not a zip/, 'SOURCE_UNAVAILABLE'],
    [
      'half a zip',
      { ...good, [zipPath]: (good[zipPath] ?? '').slice(0, 100) },
      /not a zip, or cut off/,
      'SOURCE_UNAVAILABLE',
    ],
    ['nothing', {}, /HTTP 404/, 'SOURCE_UNAVAILABLE'],
  ];

  test.each(cases)('%s', async (_, content, message, code) => {
    await using s = await scratch();
    await using proxy: Loopback = await files(content);
    const source = treeSource(SOME_DIGEST, [location(sums(HELLO))]);
    const error = await rejection(fetchSource(source, through(s, proxy.url)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(await s.left()).toEqual([]);

    // The next proxy of the list makes up for it.
    await using better = await files(good);
    const path = await fetchTree(through(s, await deadUrl(), proxy.url, better.url), sums(HELLO));
    expect(listTree(path).filter(({ type }) => type === 'file')).toHaveLength(4);
  });

  test('modules without a hash of their go.mod, or twice, are refused', async () => {
    await using s = await scratch();
    const { mod, ...rest } = sums(HELLO);
    expect(mod).toMatch(/^h1:/);
    for (const modules of [[rest], [sums(HELLO), sums(HELLO)], [{ ...sums(HELLO), path: '../x' }]]) {
      const source = treeSource(SOME_DIGEST, [location(...modules)]);
      expect((await rejection(fetchSource(source, through(s, 'http://127.0.0.1:1')))).code).toBe('RECIPE_INVALID');
    }
  });
});

test.skipIf(spawnSync('go', ['version']).status !== 0)(
  'the go command takes modules from the tree, without a network',
  async () => {
    await using s = await scratch();
    await using proxy = await files(served(HELLO, ESCAPED, otherZipOf));
    const tree = await fetchTree(through(s, proxy.url), sums(HELLO));
    const main = join(s.folder, 'main');
    await mkdir(main);
    const { zip, mod } = sums(HELLO);
    await writeFile(join(main, 'go.mod'), 'module main\n\ngo 1.20\n\nrequire example.com/Hello v1.2.3\n');
    await writeFile(join(main, 'go.sum'), `example.com/Hello v1.2.3 ${zip}\nexample.com/Hello v1.2.3/go.mod ${mod}\n`);
    await writeFile(
      join(main, 'main.go'),
      'package main\n\nimport hello "example.com/Hello"\n\nfunc main() { println(hello.Text) }\n',
    );
    const env = {
      PATH: process.env.PATH,
      HOME: s.folder,
      GOPATH: join(s.folder, 'go'),
      GOCACHE: join(s.folder, 'cache'),
      GOPROXY: pathToFileURL(tree).href,
      GONOSUMDB: '*',
      GOFLAGS: '-mod=mod -modcacherw',
      GOTOOLCHAIN: 'local',
      GOENV: 'off',
    };
    // Listing unpacks the modules and checks them against go.sum, without the time that compiling takes.
    const result = await run('go', ['list', '-deps', '-f', '{{if not .Standard}}{{.ImportPath}}{{end}}', '.'], {
      cwd: main,
      env,
    });
    expect(result.stderr.replace(/^go: downloading .*\n/gm, '')).toBe('');
    expect(result.stdout).toBe('example.com/Hello\nmain\n');
    const listed = await run('go', ['mod', 'download', '-json', 'example.com/Hello@latest'], { cwd: main, env });
    expect(JSON.parse(listed.stdout)).toMatchObject({ Version: 'v1.2.3', Sum: zip, GoModSum: mod });
  },
  60_000,
);
