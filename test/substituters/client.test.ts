import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { HttpOptions } from '../../src/io/httpExchange.ts';
import { changeObject } from '../../src/substituters/appendLines.ts';
import { CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import type { ObjectStore, OpenObject } from '../../src/substituters/objectStore.ts';
import { openSubstituter, type Substituter } from '../../src/substituters/substituter.ts';
import { deadUrl, loopback } from '../io/loopback.ts';

/** As realize asks, but for what a loaded machine must be given time for. */
const PATIENT = { ...CACHE_HTTP, connectTimeout: 60_000, idleTimeout: 60_000, slowest: 0, backoff: 1 };

function storeAt(url: string, options: Partial<HttpOptions> = {}): ObjectStore {
  const http = { ...PATIENT, signal: new AbortController().signal, ...options };
  return openCache(url, { credentials: () => undefined, http });
}

/** A cache of one run, and its warnings. */
function asked(url: string, options: Partial<HttpOptions> = {}): { cache: Substituter; warnings: string[] } {
  const warnings: string[] = [];
  const dropped = new AbortController();
  const store = storeAt(url, { ...options, signal: dropped.signal });
  const { signal } = new AbortController();
  const cache = openSubstituter(
    store,
    signal,
    (text) => warnings.push(text),
    () => dropped.abort(),
  );
  return { cache, warnings };
}

async function contentOf(object: OpenObject): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of object.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a cache that is of no use', () => {
  it('because nobody listens, is not asked again, with one warning', async () => {
    const { cache, warnings } = asked(await deadUrl());
    expect(await cache.has('sources/x')).toBe(false);
    expect(await cache.has('sources/y')).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(/^http:\S+ is not asked any more: sources\/x: .*ECONNREFUSED/)]);
  });

  it('because it never answers, is given up once for all that it was being asked', async () => {
    const silent: ServerResponse[] = [];
    await using server = await loopback((_, response) => silent.push(response));
    const { cache, warnings } = asked(server.url, { idleTimeout: 500 });
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => cache.has(`sources/${name}`)));
    expect(answers).toEqual([false, false, false, false]);
    expect(await cache.has('sources/e')).toBe(false);
    // A time limit is not spent a second time.
    expect(server.requests).toHaveLength(4);
    expect(warnings).toEqual([expect.stringContaining('no answer for 0.5 s')]);
  });

  it('because it stops in the middle, or drips', async () => {
    for (const [every, warning] of [
      [undefined, /nothing received for 0.5 s/],
      [20, /less than 1048576 bytes a second/],
    ] as const) {
      const timers: NodeJS.Timeout[] = [];
      await using server = await loopback((_, response) => {
        response.writeHead(200, { etag: '"1"', 'content-length': 1 << 20 }).write('x');
        if (every !== undefined) timers.push(setInterval(() => response.write('x'), every));
      });
      const { cache, warnings } = asked(server.url, { idleTimeout: 500, slowest: 1 << 20, rateWindow: 300 });
      expect(await cache.use('sources/x', contentOf)).toBeUndefined();
      expect(await cache.use('sources/y', contentOf)).toBeUndefined();
      for (const timer of timers) clearInterval(timer);
      expect(server.requests).toHaveLength(1);
      expect(warnings).toEqual([expect.stringMatching(warning)]);
    }
  });

  it('because it asks to be left alone for long, is not waited for', async () => {
    await using server = await loopback((_, response) => response.writeHead(429, { 'retry-after': '60' }).end());
    const { cache, warnings } = asked(server.url);
    expect(await cache.has('sources/x')).toBe(false);
    expect(server.requests).toHaveLength(1);
    expect(warnings).toHaveLength(1);
  });
});

describe('a cache that is of use', () => {
  it('may be busy for a moment', async () => {
    await using server = await loopback((_, response, index) => {
      if (index === 0) response.writeHead(503, { 'retry-after': '0' }).end();
      else response.end('x');
    });
    const { cache, warnings } = asked(server.url);
    expect(await cache.use('sources/x', contentOf)).toBe('x');
    expect(warnings).toEqual([]);
  });

  it('is asked for what it lacks once in a run, and again in the next', async () => {
    await using server = await loopback((_, response) => response.writeHead(404).end());
    const { cache } = asked(server.url);
    for (let time = 0; time < 3; time++) expect(await cache.has('sources/x')).toBe(false);
    expect(server.requests).toHaveLength(1);
    expect(await asked(server.url).cache.has('sources/x')).toBe(false);
    expect(server.requests).toHaveLength(2);
  });

  it('goes on where the line broke, if it can tell that it has the same still', async () => {
    const content = 'abcdefgh'.repeat(1000);
    const headers = { 'content-length': content.length, etag: '"1"' };
    await using server = await loopback((request, response) => {
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (start > 0) {
        const range = `bytes ${start}-${content.length - 1}/${content.length}`;
        response.writeHead(206, { ...headers, 'content-range': range, 'content-length': content.length - start });
        response.end(content.slice(start));
        return;
      }
      response.writeHead(200, headers);
      response.write(content.slice(0, 3000), () => response.destroy());
    });
    const { cache, warnings } = asked(server.url);
    expect(await cache.use('sources/x', contentOf)).toBe(content);
    expect(server.requests.map((request) => request.headers['if-range'])).toEqual([undefined, '"1"']);
    expect(warnings).toEqual([]);
  });

  it('is not asked to go on if it has something else by now', async () => {
    await using server = await loopback((_, response, index) => {
      response.writeHead(200, { 'content-length': 8000, etag: `"${index}"` });
      response.write('x'.repeat(3000), () => response.destroy());
    });
    const { cache, warnings } = asked(server.url);
    expect(await cache.use('sources/x', contentOf)).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('the server broke the connection')]);
  });
});

describe('a cache that lets nobody in', () => {
  it.each([401, 403, 407])('is an error and no miss: HTTP %i', async (status) => {
    await using server = await loopback((_, response) => response.writeHead(status).end());
    const { cache } = asked(server.url);
    await expect(cache.has('sources/x')).rejects.toMatchObject({ code: 'CACHE_DENIED' });
    await expect(cache.envelopes('signers.json')).rejects.toMatchObject({ code: 'CACHE_DENIED' });
    await expect(cache.use('sources/x', contentOf)).rejects.toMatchObject({ code: 'CACHE_DENIED' });
  });
});

describe('servers that take no notice of conditions', () => {
  it('lose nothing of two who write at once', async () => {
    let content = '';
    let puts = 0;
    await using server = await loopback(async (request, response) => {
      if (request.method !== 'PUT') {
        response.writeHead(content === '' ? 404 : 200).end(content);
        return;
      }
      let sent = '';
      for await (const chunk of request) sent += String(chunk);
      content = sent;
      puts += 1;
      // Somebody else, who has read what was there before, writes over the first.
      if (puts === 1) content = 'other\n';
      response.writeHead(204).end();
    });
    const store = storeAt(server.url);
    await changeObject(store, 'signers.json', (before) => (before.includes('mine') ? undefined : `${before}mine\n`));
    expect(content).toBe('other\nmine\n');
    expect(puts).toBe(2);
  });
});
