import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchAnew, fetchSource } from '../../src/fetchers/fetchSource.ts';
import { sha256 } from '../../src/model/digest.ts';
import { files } from '../io/loopback.ts';
import { fileSource, rejection, SOME_DIGEST, scratch } from './scratch.ts';

const DIGEST = sha256('content');
const https = (url: string) => ({ type: 'https', url }) as const;

describe('source mirrors', () => {
  test('a folder or web server with files by digest is asked after the locations', async () => {
    await using s = await scratch();
    await using gone = await files({});
    await using mirror = await files({ [`/m/${DIGEST}`]: 'content' });
    for (const base of [s.folder, `${mirror.url}/m/`]) {
      if (base === s.folder) await writeFile(join(base, DIGEST), 'content');
      await using inner = await scratch({ sourceMirrors: [base] });
      const path = await fetchSource(fileSource('content', [https(`${gone.url}/x`)]), inner.context);
      expect(await readFile(path, 'utf8')).toBe('content');
    }
    expect([gone.requests.length, mirror.requests.length]).toEqual([2, 1]);
  });

  test('they come before the Debian snapshot archive', async () => {
    await using mirror = await files({ [`/${DIGEST}`]: 'content' });
    await using snapshot = await files({});
    await using s = await scratch({ sourceMirrors: [mirror.url], debianSnapshot: snapshot.url });
    const location = { type: 'debian', path: 'pool/main/x/x_1.deb', snapshot: '20260101T000000Z' } as const;
    await fetchSource(fileSource('content', [location]), s.context);
    expect(snapshot.requests).toEqual([]);
  });

  test('a folder is asked offline, too, whatever kind of location the source has', async () => {
    for (const location of [https('http://127.0.0.1:1/x'), { type: 'debian', path: 'pool/main/x/x_1.deb' } as const]) {
      await using s = await scratch();
      await writeFile(join(s.folder, DIGEST), 'content');
      const settings = { ...s.context.settings, sourceMirrors: [s.folder], offline: true };
      const path = await fetchSource(fileSource('content', [location]), { ...s.context, settings });
      expect(await readFile(path, 'utf8')).toBe('content');
    }
  });

  test('what lies there under a wrong digest is refused', async () => {
    await using mirror = await files({ [`/${DIGEST}`]: 'poison!' });
    await using s = await scratch({ sourceMirrors: [mirror.url] });
    expect(await rejection(fetchSource(fileSource('content', [https(`${mirror.url}/x`)]), s.context))).toMatchObject({
      code: 'SOURCE_MISMATCH',
      message: expect.stringContaining(sha256('poison!')) as unknown,
    });
    expect(await s.left()).toEqual([]);
  });
});

describe('fetching anew', () => {
  test('takes what the location has today, whatever digest and size the recipe says, and no source folder', async () => {
    await using server = await files({ '/x': 'tomorrow' });
    await using s = await scratch();
    await writeFile(join(s.folder, 'file.tar.xz'), 'yesterday');
    const settings = { ...s.context.settings, sourceDirs: [s.folder] };
    const source = fileSource('content', [https(`${server.url}/x`)], { digest: SOME_DIGEST, size: 1 });
    const { digest, path } = await fetchAnew(source, { ...s.context, settings });
    expect([digest, await readFile(path, 'utf8')]).toEqual([sha256('tomorrow'), 'tomorrow']);
  });

  test('fails like any fetch if nothing is to be had', async () => {
    await using server = await files({});
    await using s = await scratch();
    const source = fileSource('content', [https(`${server.url}/x`)]);
    expect(await rejection(fetchAnew(source, s.context))).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });
});
