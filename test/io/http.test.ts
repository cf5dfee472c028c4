import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { expectStatus, fetchBytes, httpGet, withRetries } from '../../src/io/http.ts';
import { HttpError, redactUrl } from '../../src/io/httpError.ts';
import { deadUrl, fast, files, loopback } from './loopback.ts';

async function failure(promise: Promise<unknown>): Promise<HttpError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HttpError);
  return error as HttpError;
}

const get = (url: string, options = fast()) => fetchBytes(url, { ...options, limit: 1000 });

describe('redactUrl', () => {
  test('removes user, password, query and fragment', () => {
    expect(redactUrl('https://user:secret@example.test/a?token=secret#secret')).toBe('https://example.test/a?…');
    expect(redactUrl('secret')).toBe('(not a URL)');
  });
});

describe('answers', () => {
  test('bytes come as they were sent, even with a content coding', async () => {
    await using server = await loopback((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('raw'),
    );
    expect((await get(server.url)).toString()).toBe('raw');
    expect(server.requests[0]?.headers['accept-encoding']).toBe('identity');
  });

  test('an unexpected status is typed and not repeated', async () => {
    await using server = await files({});
    const error = await failure(get(`${server.url}/x`));
    expect(error).toMatchObject({ failure: 'status', status: 404, message: 'HTTP 404 Not Found' });
    expect(server.requests).toHaveLength(1);
  });

  test('server errors, 429 and 408 are repeated, and told', async () => {
    const statuses = [500, 429, 200];
    await using server = await loopback((_, response, index) => response.writeHead(statuses[index] ?? 200).end('ok'));
    const told: string[] = [];
    expect((await get(server.url, fast({ onRetry: (message) => told.push(message) }))).toString()).toBe('ok');
    expect(told).toHaveLength(2);
    expect(told[0]).toContain('HTTP 500');
  });

  test('it gives up after the last try', async () => {
    await using server = await loopback((_, response) => response.writeHead(503).end());
    expect(await failure(get(server.url))).toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(3);
  });

  test('Retry-After is read as seconds and as a date, and has an upper limit', async () => {
    const values = ['7', 'Thu, 01 Jan 1970 00:00:00 GMT', '999999', 'soon'];
    await using server = await loopback((_, response, index) => {
      response.writeHead(429, { 'retry-after': values[index] ?? '' }).end();
    });
    const waits = [];
    for (const _ of values) waits.push((await failure(get(server.url, fast({ tries: 1 })))).retryAfter);
    expect(waits).toEqual([7000, 0, 60_000, undefined]);
  });

  test('a document longer than the limit is refused, unless only its start is wanted', async () => {
    await using server = await files({ '/x': 'x'.repeat(5000) });
    expect(await failure(get(`${server.url}/x`))).toMatchObject({ failure: 'length' });
    expect(await fetchBytes(`${server.url}/x`, { ...fast(), limit: 10, start: true })).toHaveLength(10);
  });
});

describe('redirects', () => {
  test('are followed, relative ones too', async () => {
    await using server = await loopback((request, response) => {
      if (request.url === '/a/b') response.writeHead(302, { location: '../c' }).end();
      else response.end(request.url);
    });
    expect((await get(`${server.url}/a/b`)).toString()).toBe('/c');
  });

  test('a loop ends', async () => {
    await using server = await loopback((_, response) => response.writeHead(301, { location: '/' }).end());
    expect(await failure(get(server.url))).toMatchObject({ failure: 'redirect' });
    expect(server.requests).toHaveLength(11);
  });

  test.each(['file:///etc/passwd', 'ftp://127.0.0.1/', 'http://'])('to %s is refused', async (location) => {
    await using server = await loopback((_, response) => response.writeHead(302, { location }).end());
    expect(await failure(get(server.url))).toMatchObject({ failure: 'redirect' });
  });

  test('credentials go to the server they are for and to no other', async () => {
    await using other = await loopback((request, response) => response.end(request.headers.authorization ?? 'none'));
    await using server = await loopback((request, response) => {
      expect(request.headers.authorization).toBe(`Basic ${btoa('user:secret')}`);
      response.writeHead(302, { location: other.url }).end();
    });
    expect((await get(server.url.replace('//', '//user:secret@'))).toString()).toBe('none');
  });
});

describe('broken networks', () => {
  test('no server', async () => {
    expect(await failure(get(await deadUrl()))).toMatchObject({ failure: 'network' });
  });

  test('a server that hangs up before it answers', async () => {
    await using server = await loopback((request) => request.socket.destroy());
    expect(await failure(get(server.url))).toMatchObject({ failure: 'network' });
    expect(server.requests).toHaveLength(3);
  });

  test('a server that never answers', async () => {
    await using server = await loopback(() => {});
    expect(await failure(get(server.url, fast({ idleTimeout: 30, tries: 1 })))).toMatchObject({ failure: 'timeout' });
  });

  test('a server that stops in the middle', async () => {
    await using server = await loopback((_, response) =>
      response.writeHead(200, { 'content-length': 10 }).write('half'),
    );
    expect(await failure(get(server.url, fast({ idleTimeout: 30, tries: 1 })))).toMatchObject({ failure: 'timeout' });
  });

  test('a body that is shorter than announced', async () => {
    await using server = await loopback((_, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('half', () => response.destroy());
    });
    const error = await failure(get(server.url, fast({ tries: 1 })));
    expect(error).toMatchObject({ failure: 'network', message: 'the server broke the connection' });
  });

  test('a slow reader is not taken for a silent server', async () => {
    await using server = await files({ '/x': 'x'.repeat(100) });
    const response = await httpGet(`${server.url}/x`, fast({ idleTimeout: 30 }));
    for await (const chunk of response.body) {
      await sleep(100);
      expect(chunk).toHaveLength(100);
    }
  });

  test('what is no web address', async () => {
    for (const url of ['file:///etc/passwd', 'nonsense'])
      expect(await failure(get(url))).toMatchObject({ failure: 'url' });
  });

  test('no error shows a secret', async () => {
    const dead = (await deadUrl()).replace('//', '//user:secret@');
    const told: string[] = [];
    const error = await failure(get(`${dead}/x?token=secret`, fast({ onRetry: (message) => told.push(message) })));
    expect([error.message, error.url, ...told].join()).not.toContain('secret');
  });
});

describe('proxies', () => {
  test('a proxy gets the whole address; direct goes around it', async () => {
    await using server = await files({ '/x': 'from the server' });
    await using proxy = await loopback((request, response) => response.end(`by proxy: ${request.url}`));
    const url = `${server.url}/x`;
    expect((await get(url, fast({ proxy: proxy.url }))).toString()).toBe(`by proxy: ${url}`);
    expect((await get(url, fast({ proxy: 'direct' }))).toString()).toBe('from the server');
  });
});

describe('abort', () => {
  test('before, while waiting for the answer, and between two tries', async () => {
    const reason = new Error('enough');
    await using silent = await loopback(() => {});
    await expect(get(silent.url, fast({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(silent.requests).toHaveLength(0);

    const control = new AbortController();
    await using server = await loopback(() => control.abort(reason));
    await expect(get(server.url, fast({ signal: control.signal }))).rejects.toBe(reason);

    const second = new AbortController();
    await using failing = await loopback((_, response) => response.writeHead(500).end());
    const options = fast({ signal: second.signal, backoff: 60_000, onRetry: () => second.abort(reason) });
    await expect(get(failing.url, options)).rejects.toBe(reason);
  });
});

describe('withRetries', () => {
  test('tries that get further cost nothing', async () => {
    let calls = 0;
    const attempt = async () => {
      if (++calls < 8) throw new HttpError('network', 'http://x.test/', 'broken');
      return calls;
    };
    expect(await withRetries('http://x.test/', fast(), attempt, () => calls * 1024 * 1024)).toBe(8);
    calls = 0;
    await failure(withRetries('http://x.test/', fast(), attempt, () => 5));
    expect(calls).toBe(3);
  });
});

test('expectStatus drops the connection of what it refuses', async () => {
  await using server = await loopback((_, response) => response.writeHead(403).write('endless'));
  const response = await httpGet(server.url, fast());
  expect(() => expectStatus(response, [200])).toThrow('HTTP 403 Forbidden');
});
