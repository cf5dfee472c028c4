import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chooseAptProxy, debianMirrors, parseAptProxies } from '../../src/fetchers/aptMirrors.ts';
import { parseDeb822Sources, parseSourcesList, readAptSources } from '../../src/fetchers/aptSources.ts';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import { deadUrl, files } from '../io/loopback.ts';
import { fileSource, rejection, scratch } from './scratch.ts';

const PATH = 'pool/main/f/foo/foo_1.0+b1_amd64.deb';
const inRelease = (origin: string, label = origin) =>
  `-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: ${origin}\nLabel: ${label}\n`;
const DEBIAN = { '/debian/dists/stable/InRelease': inRelease('Debian') };

async function apt(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(root, 'etc/apt/sources.list.d'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, 'etc/apt', name), text);
}

describe('apt sources', () => {
  test('one-line format', () => {
    const text = [
      '# deb http://mirror.test/no stable main',
      'deb http://mirror.test/debian/ stable main contrib # comment',
      '  deb [arch=amd64 signed-by=/x.gpg] https://mirror.test/b sid main',
      'deb-src http://mirror.test/src stable main',
      'deb cdrom:[Debian]/ stable main',
      'deb http://mirror.test/flat ./',
      'deb http://mirror.test/flat exact/ main',
      'nonsense',
    ].join('\n');
    expect(parseSourcesList(text)).toEqual([
      { base: 'http://mirror.test/debian', suite: 'stable', components: ['main', 'contrib'] },
      { base: 'https://mirror.test/b', suite: 'sid', components: ['main'] },
    ]);
  });

  test('deb822 format', () => {
    const text = [
      '# comment',
      'Types: deb deb-src',
      'URIs: http://mirror.test/debian',
      '# in between',
      'Suites: stable',
      ' stable-updates',
      'components: main',
      '',
      'Types: deb',
      'Enabled: no',
      'URIs: http://mirror.test/off',
      'Suites: stable',
      'Components: main',
      ' ',
      'Types: deb-src',
      'URIs: http://mirror.test/src',
      'Suites: stable',
      'Components: main',
    ].join('\n');
    expect(parseDeb822Sources(text)).toEqual([
      { base: 'http://mirror.test/debian', suite: 'stable', components: ['main'] },
      { base: 'http://mirror.test/debian', suite: 'stable-updates', components: ['main'] },
    ]);
  });

  test('only files that apt reads are read; a machine without apt has none', async () => {
    await using s = await scratch();
    expect(await readAptSources(s.folder)).toEqual([]);
    await apt(s.folder, {
      'sources.list': 'deb http://a.test/ stable main\n',
      'sources.list.d/b.list': 'deb http://b.test/ stable main\n',
      'sources.list.d/c.sources': 'Types: deb\nURIs: http://c.test\nSuites: stable\nComponents: main\n',
      'sources.list.d/d.list.disabled': 'deb http://d.test/ stable main\n',
    });
    expect((await readAptSources(s.folder)).map(({ base }) => base)).toEqual([
      'http://a.test',
      'http://b.test',
      'http://c.test',
    ]);
  });
});

describe('mirrors', () => {
  test('those that say they are Debian, then the configured ones; asked once', async () => {
    await using s = await scratch();
    await using good = await files({
      ...DEBIAN,
      '/security/dists/stable-security/InRelease': inRelease('Debian', 'Debian-Security'),
    });
    await using stranger = await files({ '/dists/stable/InRelease': inRelease('Other') });
    await apt(s.folder, {
      'sources.list': [
        `deb ${stranger.url} stable main`,
        `deb ${good.url}/security stable-security main`,
        `deb ${good.url}/debian stable-updates main`,
        `deb ${good.url}/debian stable main`,
        `deb ${good.url}/non-free stable non-free`,
        `deb ${await deadUrl()} stable main`,
      ].join('\n'),
    });
    const settings = { ...s.context.settings, debianMirrors: ['http://configured.test/debian/'] };
    const expected = [`${good.url}/debian`, 'http://configured.test/debian'];
    expect(await debianMirrors(settings)).toEqual(expected);
    expect(await debianMirrors(settings)).toEqual(expected);
    expect(good.requests.map(({ url }) => url).sort()).toEqual([
      '/debian/dists/stable/InRelease',
      '/security/dists/stable-security/InRelease',
    ]);
    expect(await debianMirrors({ ...settings, offline: true })).toEqual([]);
  });

  test('an aborted look is not remembered', async () => {
    await using s = await scratch();
    await using good = await files(DEBIAN);
    await apt(s.folder, { 'sources.list': `deb ${good.url}/debian stable main` });
    await expect(debianMirrors(s.context.settings, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(await debianMirrors(s.context.settings)).toEqual([`${good.url}/debian`]);
  });
});

describe('apt proxies', () => {
  const dump = [
    'Acquire "";',
    'Acquire::http "";',
    'Acquire::http::Proxy "http://proxy.test:3142/";',
    'Acquire::http::Proxy::inside.test "DIRECT";',
    'Acquire::https::Proxy "socks5h://proxy.test";',
    'Acquire::https::Proxy::secure.test "http://other.test/";',
  ].join('\n');

  test.each([
    ['http://mirror.test/x', 'http://proxy.test:3142/'],
    ['http://inside.test/x', 'direct'],
    ['https://inside.test/x', 'direct'],
    ['https://secure.test/x', 'http://other.test/'],
    ['https://mirror.test/x', undefined],
  ])('%s through %s', (url, expected) => {
    expect(chooseAptProxy(url, parseAptProxies(dump))).toBe(expected);
  });

  test('none', () => expect(chooseAptProxy('http://mirror.test/', parseAptProxies(''))).toBeUndefined());
});

describe('debian: files', () => {
  const location = { type: 'debian', path: PATH } as const;

  test("come from the machine's own mirror, the next one if it is wrong there", async () => {
    await using s = await scratch();
    await using own = await files({ ...DEBIAN, [`/debian/${PATH}`]: 'tampered' });
    await using other = await files({ [`/${PATH}`]: 'content' });
    await apt(s.folder, { 'sources.list': `deb ${own.url}/debian stable main` });
    const context = { ...s.context, settings: { ...s.context.settings, debianMirrors: [other.url] } };
    const path = await fetchSource(fileSource('content', [location]), context);
    expect(await readFile(path, 'utf8')).toBe('content');
    expect(own.requests.at(-1)?.url).toBe(`/debian/${PATH.replace('+', '%2B')}`);
  });

  test('come from the snapshot archive when no mirror has them any more', async () => {
    await using mirror = await files({});
    await using snapshots = await files({ [`/archive/20260102T030405Z/${PATH}`]: 'content' });
    await using s = await scratch({ debianMirrors: [mirror.url], debianSnapshot: `${snapshots.url}/archive/` });
    await fetchSource(fileSource('content', [{ ...location, snapshot: '20260102T030405Z' }]), s.context);
    expect(mirror.requests).toHaveLength(1);
  });

  test('that every mirror lacks are gone, and the ways out are told', async () => {
    await using a = await files({});
    await using b = await files({});
    await using s = await scratch({ debianMirrors: [a.url, b.url], debianSnapshot: await deadUrl() });
    const error = await rejection(
      fetchSource(fileSource('content', [{ ...location, snapshot: '20260102T030405Z' }]), s.context),
    );
    expect(error.code).toBe('PACKAGE_GONE');
    expect(error.message.match(/HTTP 404/g)).toHaveLength(2);
    for (const way of ['vmbuild update', '--source-dir', 'snapshot', 'cache'])
      expect(error.hints.join()).toContain(way);
  });

  test('are not gone when one mirror could not be asked', async () => {
    await using a = await files({});
    await using s = await scratch({ debianMirrors: [a.url, await deadUrl()] });
    expect((await rejection(fetchSource(fileSource('content', [location]), s.context))).code).toBe(
      'SOURCE_UNAVAILABLE',
    );
    await using t = await scratch({ debianMirrors: [a.url] });
    await apt(t.folder, { 'sources.list': `deb ${await deadUrl()} stable main` });
    const probed = await rejection(fetchSource(fileSource('content', [location]), t.context));
    expect(probed.code).toBe('SOURCE_UNAVAILABLE');
  });

  test('without any mirror: the reasons are told', async () => {
    await using s = await scratch();
    await using stranger = await files({ '/dists/stable/InRelease': inRelease('Other') });
    await apt(s.folder, { 'sources.list': `deb ${stranger.url} stable main` });
    const error = await rejection(fetchSource(fileSource('content', [location]), s.context));
    expect(error.code).toBe('SOURCE_UNAVAILABLE');
    expect(error.message).toContain('is not the Debian archive (Origin Other, Label Other)');
    expect(error.message).toContain('debianMirrors');
  });

  test.each([{ path: '../etc/passwd' }, { path: '/pool/x' }, { path: 'pool/x', snapshot: '../x' }])(
    'refuses %o',
    async (bad) => {
      await using s = await scratch();
      expect(await rejection(fetchSource(fileSource('x', [{ type: 'debian', ...bad }]), s.context))).toMatchObject({
        code: 'RECIPE_INVALID',
      });
    },
  );
});
