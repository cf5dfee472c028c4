import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { needsGoProxy, withGoProxy } from '../../src/build/goDefault.ts';
import type { FetchSettings } from '../../src/fetchers/fetcher.ts';
import type { Source } from '../../src/model/source.ts';
import { writeDeb } from '../images/debBuilder.ts';
import { temporary } from '../support/temporary.ts';

const SETTINGS: FetchSettings = { sourceDirs: [], debianMirrors: [], offline: false };

/** A stand-in for Debian's package of Go, and how often it was asked for. */
async function goPackage(goEnv: string) {
  const folder = await temporary();
  const name = './usr/lib/go-1.24/go.env';
  const deb = await writeDeb(folder, {
    name: 'golang',
    entries: [
      { name: './usr/lib/go-1.24/bin/go', content: 'x'.repeat(100_000) },
      { name, content: goEnv },
    ],
    compression: 'zst',
  });
  const asked: Source[] = [];
  const fetchPackage = (source: Source): Promise<string> => {
    asked.push(source);
    return Promise.resolve(join(folder, deb.sha256));
  };
  return { asked, fetchPackage };
}

describe('on a machine that has neither Go nor GOPROXY', () => {
  beforeEach(async () => {
    const empty = await temporary();
    vi.stubEnv('PATH', empty);
    vi.stubEnv('HOME', empty);
    vi.stubEnv('XDG_CONFIG_HOME', empty);
    vi.stubEnv('GOPROXY', '');
    vi.stubEnv('GOENV', '');
  });
  afterEach(() => void vi.unstubAllEnvs());

  it("the default of Debian's package of Go is used", async () => {
    const { asked, fetchPackage } = await goPackage('# a comment\nGOPROXY=https://goproxy.example,direct\nGOSUMDB=x\n');
    expect((await withGoProxy(SETTINGS, fetchPackage)).goProxy).toBe('https://goproxy.example,direct');
    expect(asked).toHaveLength(1);
    expect(asked[0]?.locations[0]?.type).toBe('debian');
  });

  it('a package without a default is a defect, and said to be one', async () => {
    const { fetchPackage } = await goPackage('GOSUMDB=x\n');
    await expect(withGoProxy(SETTINGS, fetchPackage)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('nothing is fetched when offline, or when a proxy is configured or in the environment', async () => {
    const { asked, fetchPackage } = await goPackage('GOPROXY=https://goproxy.example\n');
    expect((await withGoProxy({ ...SETTINGS, offline: true }, fetchPackage)).goProxy).toBeUndefined();
    expect((await withGoProxy({ ...SETTINGS, goProxy: 'https://mine.example' }, fetchPackage)).goProxy).toBe(
      'https://mine.example',
    );
    vi.stubEnv('GOPROXY', 'https://env.example');
    expect((await withGoProxy(SETTINGS, fetchPackage)).goProxy).toBeUndefined();
    expect(asked).toEqual([]);
  });
});

describe('needsGoProxy', () => {
  it('is true for Go sources alone', () => {
    const source = (type: 'debian' | 'gomod'): Source => ({
      kind: 'file',
      name: 'x',
      digest: '0'.repeat(64) as Source['digest'],
      locations: [type === 'gomod' ? { type, modules: [] } : { type, path: 'pool/x' }],
    });
    expect([needsGoProxy(source('gomod')), needsGoProxy(source('debian'))]).toEqual([true, false]);
  });
});
