import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { sha256 } from '../../src/model/digest.ts';
import { deadUrl, files, loopback } from '../io/loopback.ts';
import { fileSource, rejection, SOME_DIGEST, scratch, treeSource } from './scratch.ts';

const https = (url: string) => ({ type: 'https', url }) as const;
const local = (path: string) => ({ type: 'local', path }) as const;

describe('order', () => {
  test('the first location that has it wins, and nothing but the result is left', async () => {
    await using s = await scratch();
    await using a = await files({});
    await using b = await files({ '/x': 'content' });
    await using c = await files({ '/x': 'content' });
    const path = await fetchSource(
      fileSource(
        'content',
        [a, b, c].map(({ url }) => https(`${url}/x`)),
      ),
      s.context,
    );
    expect(await readFile(path, 'utf8')).toBe('content');
    expect([a, b, c].map(({ requests }) => requests.length)).toEqual([1, 1, 0]);
    expect(await s.left()).toEqual(['content']);
    expect(s.told.join()).toContain('HTTP 404');
  });

  test('source folders come before any network, by digest and by name', async () => {
    for (const name of ['file.tar.xz', sha256('content')]) {
      await using s = await scratch();
      await writeFile(join(s.folder, name), 'content');
      const settings = { ...s.context.settings, sourceDirs: [join(s.folder, 'none'), s.folder], offline: true };
      const source = fileSource('content', [https('http://127.0.0.1:1/')]);
      expect(await readFile(await fetchSource(source, { ...s.context, settings }), 'utf8')).toBe('content');
    }
  });

  test('a wrong file of the right name in a source folder does not stop the fetch', async () => {
    await using s = await scratch();
    await using server = await files({ '/x': 'content' });
    await writeFile(join(s.folder, 'file.tar.xz'), 'an old version');
    const context = { ...s.context, settings: { ...s.context.settings, sourceDirs: [s.folder] } };
    await fetchSource(fileSource('content', [https(`${server.url}/x`)]), context);
    expect(await s.left()).toEqual(['content']);
  });

  test('a source folder that cannot be read is told, and does not stop the fetch', async () => {
    await using s = await scratch();
    await using server = await files({ '/x': 'content' });
    const tooLong = join(s.folder, 'x'.repeat(300));
    const settings = { ...s.context.settings, sourceDirs: [tooLong] };
    await fetchSource(fileSource('content', [https(`${server.url}/x`)]), { ...s.context, settings });
    const error = await rejection(fetchSource(fileSource('content', []), { ...s.context, settings }));
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', message: expect.stringContaining(tooLong) as unknown });
  });

  test('a name that is a path is not looked for in source folders', async () => {
    await using s = await scratch();
    await writeFile(join(s.folder, 'secret'), 'content');
    await mkdir(join(s.folder, 'sources'));
    const context = { ...s.context, settings: { ...s.context.settings, sourceDirs: [join(s.folder, 'sources')] } };
    const source = fileSource('content', [], { name: '../secret' });
    expect(await rejection(fetchSource(source, context))).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });

  test('a dead server is asked last the next time', async () => {
    await using s = await scratch();
    await using t = await scratch();
    await using broken = await loopback((request) => request.socket.destroy());
    await using good = await files({ '/x': 'content' });
    const source = fileSource('content', [https(`${broken.url}/x`), https(`${good.url}/x`)]);
    await fetchSource(source, s.context);
    expect(broken.requests).toHaveLength(3);
    await fetchSource(source, t.context);
    expect(broken.requests).toHaveLength(3);
    expect(good.requests).toHaveLength(2);
  });

  test('it is still asked when nobody else has the file', async () => {
    await using s = await scratch();
    let down = true;
    await using moody = await loopback((request, response) =>
      down ? request.socket.destroy() : response.end('content'),
    );
    await using empty = await files({});
    const source = fileSource('content', [https(`${moody.url}/x`), https(`${empty.url}/x`)]);
    await rejection(fetchSource(source, s.context));
    down = false;
    await fetchSource(source, s.context);
    expect(await s.left()).toEqual(['content']);
  });
});

describe('wrong content', () => {
  test('is thrown away, and the next location asked', async () => {
    await using s = await scratch();
    await using bad = await files({ '/x': 'tampered' });
    await using good = await files({ '/x': 'content' });
    const path = await fetchSource(fileSource('content', [https(`${bad.url}/x`), https(`${good.url}/x`)]), s.context);
    expect(await readFile(path, 'utf8')).toBe('content');
    expect(await s.left()).toEqual(['content']);
  });

  test('everywhere: both digests and the place are shown, and nothing is left', async () => {
    await using s = await scratch();
    await using bad = await files({ '/x': 'tampered' });
    await using empty = await files({});
    const locations = [https(`${bad.url.replace('//', '//user:secret@')}/x?key=secret`), https(`${empty.url}/x`)];
    const mismatch = await rejection(fetchSource(fileSource('content', locations), s.context));
    expect(mismatch).toMatchObject({ code: 'SOURCE_MISMATCH', step: 'file.tar.xz' });
    const digests = `expected sha256 ${sha256('content')}, found ${sha256('tampered')}`;
    expect(mismatch.message).toContain(`${bad.url}/x?…: ${digests}`);
    expect(mismatch.message).toContain(`${empty.url}/x: HTTP 404`);
    expect(mismatch.hints.join()).toContain('vmbuild update');
    expect([mismatch.message, ...s.told].join()).not.toContain('secret');
    expect(await s.left()).toEqual([]);
  });

  test('of another length is refused before it is all there', async () => {
    await using s = await scratch();
    await using server = await loopback((_, response) =>
      response.writeHead(200, { 'content-length': 1e12 }).write('x'),
    );
    const source = fileSource('content', [https(server.url)], { size: 7 });
    const error = await rejection(fetchSource(source, s.context));
    expect(error.message).toContain('the server has 1000000000000 bytes, expected 7');
    expect(await s.left()).toEqual([]);
  });
});

describe('failures', () => {
  test('every place is listed with its reason', async () => {
    await using s = await scratch();
    await using server = await files({});
    const dead = await deadUrl();
    const source = fileSource('content', [local(join(s.folder, 'none')), https(`${server.url}/a`), https(`${dead}/b`)]);
    const error = await rejection(fetchSource(source, s.context));
    expect(error.code).toBe('SOURCE_UNAVAILABLE');
    expect(error.message).toMatch(/\/none: ENOENT.*\n.*\/a: HTTP 404.*\n.*\/b: .*ECONNREFUSED/);
    expect(error.hints.join()).toContain('--source-dir');
    expect(await s.left()).toEqual([]);
  });

  test('offline, no server is asked', async () => {
    await using s = await scratch({ offline: true, debianMirrors: ['http://127.0.0.1:1'] });
    await using server = await files({ '/x': 'content' });
    const source = fileSource('content', [https(`${server.url}/x`), { type: 'debian', path: 'pool/x' }]);
    const error = await rejection(fetchSource(source, s.context));
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(error.message.match(/not tried: offline/g)).toHaveLength(2);
    expect(server.requests).toHaveLength(0);
  });

  test('no location at all', async () => {
    await using s = await scratch();
    expect((await rejection(fetchSource(fileSource('x', []), s.context))).message).toContain('no place to get it from');
  });

  test('a location that cannot give such a source is a mistake in the recipe', async () => {
    await using s = await scratch();
    const error = await rejection(fetchSource(treeSource(SOME_DIGEST, [https('http://127.0.0.1:1/')]), s.context));
    expect(error.code).toBe('RECIPE_INVALID');
  });

  test('an abort in the middle leaves nothing and is no failure of the location', async () => {
    const control = new AbortController();
    const reason = new Error('enough');
    await using s = await scratch({}, control.signal);
    await using server = await loopback((_, response) =>
      response.writeHead(200, { 'content-length': 1e6 }).write('half'),
    );
    await using other = await files({ '/x': 'content' });
    const context = { ...s.context, onProgress: () => control.abort(reason) };
    const source = fileSource('content', [https(server.url), https(`${other.url}/x`)]);
    expect(await rejection(fetchSource(source, context))).toBe(reason);
    expect(other.requests).toHaveLength(0);
    expect(await s.left()).toEqual([]);
  });
});

describe('local', () => {
  test('a file is copied, not moved or linked', async () => {
    await using s = await scratch();
    const path = join(s.folder, 'mine');
    await writeFile(path, 'content');
    const result = await fetchSource(fileSource('content', [local(path)]), s.context);
    await writeFile(path, 'changed later');
    expect(await readFile(result, 'utf8')).toBe('content');
  });

  test('a tree is copied with canonical modes', async () => {
    await using s = await scratch();
    const root = join(s.folder, 'tree');
    await mkdir(join(root, 'd'), { recursive: true });
    await writeFile(join(root, 'd/program'), '#!/bin/sh\n');
    await chmod(join(root, 'd/program'), 0o711);
    await writeFile(join(root, 'file'), 'x', { mode: 0o600 });
    await symlink('d/program', join(root, 'link'));
    const digest = treeDigest(root, listTree(root));
    const result = await fetchSource(treeSource(digest, [local(root)]), s.context);
    expect(treeDigest(result, listTree(result))).toBe(digest);
    const modes = listTree(result).map(({ path, mode }) => `${path} ${mode.toString(8)}`);
    expect(modes).toEqual([' 755', 'd 755', 'd/program 755', 'file 644', 'link 755']);
  });

  test('a tree that leads out of itself, and a folder in place of a file', async () => {
    await using s = await scratch();
    const root = join(s.folder, 'tree');
    await mkdir(root);
    await symlink('/etc/passwd', join(root, 'link'));
    expect((await rejection(fetchSource(treeSource(SOME_DIGEST, [local(root)]), s.context))).message).toContain(
      'absolute link',
    );
    expect((await rejection(fetchSource(fileSource('x', [local(root)]), s.context))).message).toContain(
      'not a regular file',
    );
    expect(await s.left()).toEqual([]);
  });
});
