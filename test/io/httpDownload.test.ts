import { execFile, spawnSync } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { type DownloadOptions, download } from '../../src/io/httpDownload.ts';
import { sha256 } from '../../src/model/digest.ts';
import { fast, files, loopback } from './loopback.ts';

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
const DIGEST = sha256(CONTENT);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vmbuild-download-'));
});
afterEach(() => removeTree(folder));

const get = (url: string, options: Partial<DownloadOptions> = {}) =>
  download(url, join(folder, 'file'), { ...fast(), ...options });
const nothingLeft = async () => expect(await readdir(folder)).toEqual([]);

test('gives digest and size, and reports progress', async () => {
  await using server = await files({ '/x': CONTENT });
  const seen: (number | undefined)[][] = [];
  const result = await get(`${server.url}/x`, { onProgress: (received, total) => seen.push([received, total]) });
  expect(result).toEqual({ digest: DIGEST, size: CONTENT.length });
  expect(await readdir(folder)).toEqual(['file']);
  expect(CONTENT.equals(await readFile(join(folder, 'file')))).toBe(true);
  expect(seen.at(-1)).toEqual([CONTENT.length, CONTENT.length]);
});

test('an existing file or download is never overwritten', async () => {
  await using server = await files({ '/x': CONTENT });
  await writeFile(join(folder, 'file.part'), 'of somebody else');
  await expect(get(`${server.url}/x`)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(join(folder, 'file.part'), 'utf8')).toBe('of somebody else');
});

describe('length', () => {
  test.each([1, CONTENT.length - 1, CONTENT.length + 1])('announced otherwise than expected (%i)', async (size) => {
    await using server = await files({ '/x': CONTENT });
    await expect(get(`${server.url}/x`, { size })).rejects.toMatchObject({ failure: 'length' });
    await nothingLeft();
  });

  test('not announced and too long: stopped at once, though the server never ends', async () => {
    await using server = await loopback((_, response) => {
      const more = () => void (response.destroyed || response.write(CONTENT, more));
      more();
    });
    await expect(get(server.url, { size: CONTENT.length })).rejects.toMatchObject({ failure: 'length' });
    await expect(get(server.url, { maxSize: 1000 })).rejects.toMatchObject({ failure: 'length' });
    await nothingLeft();
  });

  test('not announced and too short', async () => {
    await using server = await loopback((_, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' }).end('short');
    });
    await expect(get(server.url, { size: 6 })).rejects.toMatchObject({ failure: 'truncated' });
    expect(server.requests).toHaveLength(3);
    await nothingLeft();
  });
});

describe('broken transfers', () => {
  /**
   * Sends the first half on the first request and hangs up once some of it has been received, which `cutWhen` is to be
   * told; `second` answers the other requests.
   */
  const breaking = async (headers: Record<string, string>, second: Parameters<typeof loopback>[0]) => {
    let first: ServerResponse | undefined;
    const server = await loopback((request, response, index) => {
      if (index > 0) return second(request, response, index);
      first = response.writeHead(200, { ...headers, 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 150_000));
    });
    return Object.assign(server, { cut: { onProgress: () => void first?.destroy() } });
  };

  test.each([{ etag: '"v1"' }, { 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' }])(
    'are resumed with %o',
    async (headers) => {
      await using server = await breaking(headers, (request, response) => {
        const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
        expect(start).toBeGreaterThan(0);
        expect(request.headers['if-range']).toBe(Object.values(headers)[0]);
        const range = `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}`;
        response.writeHead(206, { 'content-range': range }).end(CONTENT.subarray(start));
      });
      expect(await get(server.url, server.cut)).toEqual({ digest: DIGEST, size: CONTENT.length });
      expect(CONTENT.equals(await readFile(join(folder, 'file')))).toBe(true);
    },
  );

  test('begin again where the file on the server has changed', async () => {
    await using server = await breaking({ etag: '"v1"' }, (_, response) => response.end('a new file'));
    expect(await get(server.url, server.cut)).toEqual({ digest: sha256('a new file'), size: 10 });
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('a new file');
  });

  test.each([{}, { etag: 'W/"v1"' }])(
    'begin again where nothing tells that it is the same file (%o)',
    async (headers) => {
      await using server = await breaking(headers as Record<string, string>, (request, response) => {
        expect(request.headers.range).toBeUndefined();
        response.end(CONTENT);
      });
      expect((await get(server.url, server.cut)).digest).toBe(DIGEST);
    },
  );

  test.each([
    [416, {}],
    [206, { 'content-range': `bytes 7-${CONTENT.length - 1}/${CONTENT.length}` }],
    [206, {}],
  ])('begin again where the range is not answered as asked (%i %o)', async (status, headers) => {
    await using server = await breaking({ etag: '"v1"' }, (request, response) => {
      if (request.headers.range === undefined) response.end(CONTENT);
      else response.writeHead(status, headers).end();
    });
    expect((await get(server.url, server.cut)).digest).toBe(DIGEST);
  });

  test('leave nothing when they never succeed', async () => {
    await using server = await breaking({}, (request) => request.socket.destroy());
    await expect(get(server.url, server.cut)).rejects.toMatchObject({ failure: 'network' });
    await nothingLeft();
  });
});

test('an abort in the middle leaves nothing', async () => {
  const control = new AbortController();
  const reason = new Error('enough');
  await using server = await loopback((_, response) =>
    response.writeHead(200, { 'content-length': 1e6 }).write(CONTENT),
  );
  const running = get(server.url, { signal: control.signal, onProgress: () => control.abort(reason) });
  await expect(running).rejects.toBe(reason);
  await nothingLeft();
});

const namespaces = spawnSync('unshare', ['-rm', 'true']).status === 0;
test.skipIf(!namespaces)('a full disk is no network error: it is told as it is, and at once', async () => {
  await using server = await files({ '/x': CONTENT });
  // A file system of 64 KiB, in a mount namespace of its own; the program runs in there.
  const program = `
    import { readdirSync } from 'node:fs';
    import { download } from ${JSON.stringify(join(import.meta.dirname, '../../src/io/httpDownload.ts'))};
    const retries = [];
    const options = { signal: new AbortController().signal, onRetry: (message) => retries.push(message) };
    const error = await download(process.argv[1], process.argv[2] + '/file', options).catch((reason) => reason);
    console.log(JSON.stringify({ code: error.code, retries, left: readdirSync(process.argv[2]) }));`;
  const args = ['--input-type=module-typescript', '-e', program, `${server.url}/x`, folder];
  const shell = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"';
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile('unshare', ['-rm', 'sh', '-c', shell, folder, process.execPath, ...args], (_, stdout, stderr) =>
    resolve(stdout || stderr),
  );
  expect(JSON.parse(await promise)).toEqual({ code: 'ENOSPC', retries: [], left: [] });
});
