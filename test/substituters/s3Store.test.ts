import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256, sha256Stream } from '../../src/model/digest.ts';
import { CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import type { ListedObject, ObjectBody, ObjectStore } from '../../src/substituters/objectStore.ts';
import { loopback } from '../io/loopback.ts';
import { type CacheServer, lacksServer, makeBucket, S3_KEY, startCacheServer } from '../support/cacheServers.ts';

const lacking = lacksServer('s3');
const title = (text: string): string => (lacking === undefined ? text : `${text} (skipped: ${lacking})`);

interface Opening {
  readonly key?: typeof S3_KEY | { accessKeyId: string; secretAccessKey: string };
  readonly query?: string;
  readonly bucket?: string;
  readonly proxy?: string;
}

function bucketOn(host: string, { key = S3_KEY, query = '', bucket = 'team', proxy }: Opening = {}): ObjectStore {
  return openCache(`s3://${bucket}/p?endpoint=http://${host}&region=eu-test-1${query}`, {
    credentials: () => undefined,
    aws: () => ({ credentials: key, region: undefined }),
    http: { ...CACHE_HTTP, idleTimeout: 60_000, connectTimeout: 60_000, proxy, signal: new AbortController().signal },
  });
}

async function startS3(env: Readonly<Record<string, string>> = {}): Promise<CacheServer> {
  const server = await startCacheServer('s3', { env });
  makeBucket(server, 'team');
  return server;
}

const small = (text: string): ObjectBody => ({
  size: Buffer.byteLength(text),
  sha256: sha256(text),
  open: () => [Buffer.from(text)],
});

async function listedIn(store: ObjectStore): Promise<readonly ListedObject[]> {
  const listed: ListedObject[] = [];
  for await (const object of store.list?.() ?? []) listed.push(object);
  return listed;
}

describe.skipIf(lacking !== undefined)(title('a bucket'), () => {
  it('keeps what is written, knows what it has not, and keeps conditions', async () => {
    await using server = await startS3();
    const store = bucketOn(server.host);
    expect(await store.stat('sources/x')).toBeUndefined();
    expect(await store.read('sources/x', 10)).toBeUndefined();
    expect(await store.open('sources/x')).toBeUndefined();
    await store.put('sources/x', small('content'));
    expect(await store.stat('sources/x')).toMatchObject({ size: 7, writtenAt: expect.any(Number) });
    expect((await store.read('sources/x', 10))?.bytes.toString()).toBe('content');

    expect(await store.replace('signers.json', Buffer.from('one'), undefined)).toBe(true);
    expect(await store.replace('signers.json', Buffer.from('two'), undefined)).toBe(false);
    const first = await store.read('signers.json', 10);
    expect(await store.replace('signers.json', Buffer.from('two'), first?.version)).toBe(true);
    expect(await store.replace('signers.json', Buffer.from('three'), first?.version)).toBe(false);
    expect((await store.read('signers.json', 10))?.bytes.toString()).toBe('two');
  });

  it('lists what is below its prefix, page by page, and removes what is old enough', { timeout: 120_000 }, async () => {
    await using server = await startS3();
    const folder = join(server.folder, 'data', 'team');
    mkdirSync(join(folder, 'p', 'sources'), { recursive: true });
    mkdirSync(join(folder, 'pother'));
    writeFileSync(join(folder, 'pother', 'x'), '');
    const paths = Array.from({ length: 2100 }, (_, index) => `sources/${index}`);
    for (const path of paths) writeFileSync(join(folder, 'p', path), path);
    writeFileSync(join(folder, 'p', 'a & <b> +c'), '');
    const store = bucketOn(server.host);
    const listed = await listedIn(store);
    expect(listed.map(({ path }) => path).sort()).toEqual([...paths, 'a & <b> +c'].sort());
    expect(listed.find(({ path }) => path === 'sources/17')).toMatchObject({ size: 10 });

    const day = 24 * 3600 * 1000;
    const then = new Date(Date.now() - 2 * day);
    utimesSync(join(folder, 'p', 'sources', '17'), then, then);
    for (const [path, gone] of [
      ['sources/16', false],
      ['sources/17', true],
      ['sources/none', false],
    ] as const) {
      expect(await store.collect?.(path, Date.now() - day)).toBe(gone);
    }
    expect([await store.stat('sources/16'), await store.stat('sources/17')]).toEqual([expect.anything(), undefined]);
  });

  it('takes no listing for whole that is not', async () => {
    const entry = '<Contents><Key>p/x</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>';
    for (const page of [
      '<html>welcome</html>',
      `<ListBucketResult>${entry}<IsTruncated>true</IsTruncated></ListBucketResult>`,
      `<ListBucketResult>${entry.replace(/<Size>.*<.Size>/, '')}<IsTruncated>false</IsTruncated></ListBucketResult>`,
    ]) {
      await using server = await loopback((_, response) => response.end(page));
      const listing = listedIn(bucketOn(new URL(server.url).host));
      await expect(listing).rejects.toMatchObject({ code: 'CACHE_UNUSABLE' });
    }
  });

  it(
    'takes a large object in parts, in little memory, and leaves no parts when one fails',
    { timeout: 600_000 },
    async () => {
      await using server = await startS3();
      const store = bucketOn(server.host);
      const chunk = Buffer.alloc(1 << 20, 'vmbuild');
      const chunks = 200;
      const hash = sha256Stream();
      for (let index = 0; index < chunks; index++) hash.update(chunk);
      const digest = hash.digest();
      let most = 0;
      const before = process.memoryUsage().rss;
      const open = function* () {
        for (let index = 0; index < chunks; index++) {
          most = Math.max(most, process.memoryUsage().rss - before);
          yield chunk;
        }
      };
      await store.put('sources/large', { size: chunks << 20, sha256: digest, open });
      // Two parts and what the collector has not come to yet, and far from the whole.
      expect(most).toBeLessThan(150 << 20);
      const object = await store.open('sources/large');
      const received = sha256Stream();
      for await (const piece of object?.body ?? []) received.update(piece);
      expect(received.digest()).toBe(digest);

      const broken = function* () {
        for (let index = 0; index < 40; index++) yield chunk;
        throw new Error('the disk fails');
      };
      await expect(store.put('sources/broken', { size: 60 << 20, sha256: digest, open: broken })).rejects.toThrow(
        'the disk fails',
      );
      expect(await store.stat('sources/broken')).toBeUndefined();
      const left = readdirSync(join(server.folder, 'data', 'team'), { recursive: true }).map(String);
      expect(left.filter((path) => /^\.sgwtmp.*\/.*\d$/.test(path))).toEqual([]);
    },
  );

  it('refuses a wrong secret, and says which code, and no secret', async () => {
    await using server = await startS3();
    const store = bucketOn(server.host, { key: { accessKeyId: S3_KEY.accessKeyId, secretAccessKey: 'wrong-secret' } });
    for (const attempt of [
      () => store.read('sources/x', 10),
      () => store.open('sources/x'),
      () => store.stat('sources/x'),
      () => store.put('sources/x', small('x')),
      () => store.replace('sources/x', Buffer.from('x'), undefined),
      () => store.put('sources/x', { ...small('x'), size: 33 << 20 }),
    ]) {
      const error = await attempt().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: 'CACHE_DENIED' });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('wrong-secret');
    }
    await expect(store.read('sources/x', 10)).rejects.toThrow('SignatureDoesNotMatch');
  });

  it('that is not there is an error, and no cache without anything in it', async () => {
    await using server = await startS3();
    const store = bucketOn(server.host, { bucket: 'other' });
    await expect(store.read('sources/x', 10)).rejects.toMatchObject({ code: 'CACHE_UNUSABLE' });
    await expect(store.read('sources/x', 10)).rejects.toThrow('no such bucket');
    await expect(store.put('sources/x', small('x'))).rejects.toMatchObject({ code: 'CACHE_UNUSABLE' });
  });

  it('in another region is said to be', async () => {
    await using server = await startS3();
    const store = openCache(`s3://team/p?endpoint=http://${server.host}&region=elsewhere`, {
      credentials: () => undefined,
      aws: () => ({ credentials: S3_KEY, region: undefined }),
      http: { ...CACHE_HTTP, signal: new AbortController().signal },
    });
    await expect(store.read('sources/x', 10)).rejects.toThrow('is the region elsewhere right?');
  });

  it('is found by its host, too, through a proxy', async () => {
    await using server = await startS3({ VMBUILD_S3_DOMAIN: 's3.test' });
    const [, port = ''] = server.host.split(':');
    const asked: string[] = [];
    const proxy = createServer((incoming, response) => {
      const url = new URL(incoming.url ?? '');
      asked.push(url.host);
      const options = { host: '127.0.0.1', port, method: incoming.method, path: url.pathname + url.search };
      const outgoing = forward({ ...options, headers: incoming.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(outgoing);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      proxy.close();
      proxy.closeAllConnections();
    });
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const store = bucketOn(`s3.test:${port}`, { query: '&style=virtual', proxy: address });
    await store.put('sources/x', small('by host'));
    expect((await store.read('sources/x', 10))?.bytes.toString()).toBe('by host');
    expect((await bucketOn(server.host).read('sources/x', 10))?.bytes.toString()).toBe('by host');
    expect(new Set(asked)).toEqual(new Set([`team.s3.test:${port}`]));
  });
});

describe('requests to a bucket', () => {
  it('are not signed without credentials, and carry a session token where there is one', async () => {
    await using server = await loopback((_, response) => void response.end('x'));
    const open = (credentials: object | undefined): ObjectStore =>
      openCache(`s3://team?endpoint=${server.url}`, {
        credentials: () => undefined,
        aws: () => ({ credentials: credentials as typeof S3_KEY | undefined, region: 'eu-test-1' }),
        http: { ...CACHE_HTTP, signal: new AbortController().signal },
      });
    await open(undefined).read('sources/x', 10);
    expect(server.requests[0]).toMatchObject({ url: '/team/sources/x' });
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
    await open({ ...S3_KEY, sessionToken: 'the-session' }).read('sources/x', 10);
    const headers = server.requests[1]?.headers;
    expect(headers).toMatchObject({ 'x-amz-security-token': 'the-session' });
    expect(headers?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=vmbuild-test\/\d{8}\/eu-test-1\/s3\/aws4_request, /,
    );
    expect(headers?.authorization).toMatch(
      /SignedHeaders=[^,]*host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/,
    );
  });

  it('that complete an upload are believed by their text', async () => {
    const part = Buffer.alloc(33 << 20);
    const asked: string[] = [];
    await using server = await loopback((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      request.resume();
      request.on('end', () => {
        if (request.url?.endsWith('?uploads=')) response.end('<R><UploadId>a&amp;b</UploadId></R>');
        else if (request.method === 'PUT') response.writeHead(200, { etag: '"1"' }).end();
        else response.end('<Error><Code>InternalError</Code></Error>');
      });
    });
    const [, host = ''] = server.url.split('//');
    const body = { size: part.length, sha256: sha256(part), open: () => [part] };
    await expect(bucketOn(host).put('sources/x', body)).rejects.toThrow('was not completed');
    expect(asked).toEqual([
      'POST /team/p/sources/x?uploads=',
      'PUT /team/p/sources/x?uploadId=a%26b&partNumber=1',
      'PUT /team/p/sources/x?uploadId=a%26b&partNumber=2',
      'POST /team/p/sources/x?uploadId=a%26b',
      'DELETE /team/p/sources/x?uploadId=a%26b',
    ]);
  });
});
