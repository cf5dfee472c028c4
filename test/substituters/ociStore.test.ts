import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import { NAMED_CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import {
  artifactPath,
  derivationPath,
  SIGNERS_PATH,
  sourcePath,
  statementsPath,
} from '../../src/substituters/layout.ts';
import { formatManifest, parseManifest, tagOf } from '../../src/substituters/ociManifest.ts';
import { loopback } from '../io/loopback.ts';
import { lacksServer, startCacheServer } from '../support/cacheServers.ts';

const lacking = lacksServer('registry');
const title = lacking === undefined ? 'a registry' : `a registry (skipped: ${lacking})`;

function repositoryOn(host: string, credentials?: { username: string; password: string }): ObjectStore {
  return openCache(`oci://${host}/team/cache`, {
    credentials: () => undefined,
    registryCredentials: () => credentials,
    http: { ...NAMED_CACHE_HTTP, signal: new AbortController().signal },
  });
}

const bodyOf = (text: string) => ({ size: text.length, sha256: sha256(text), open: () => [Buffer.from(text)] });

describe('tags', () => {
  it('are as long as registries allow, of their characters, and of one object each', () => {
    const [a, b] = [sha256('a'), sha256('b')];
    const paths = [
      ...[a, b].flatMap((digest) => [artifactPath(digest), sourcePath(digest)]),
      ...[statementsPath, derivationPath].flatMap((pathOf) => [pathOf(a, b), pathOf(b, a)]),
      SIGNERS_PATH,
    ];
    const tags = paths.map(tagOf);
    for (const tag of tags) expect(tag).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
    expect(new Set(tags).size).toBe(paths.length);
  });
});

describe('manifests', () => {
  it('are read as they are written, and of one path only', () => {
    const now = new Date('2026-01-01T00:00:00Z');
    const bytes = Buffer.from(formatManifest('sources/x', bodyOf('content'), now));
    const read = parseManifest(bytes, 'sources/x', 'here');
    expect(read).toEqual({ digest: sha256('content'), size: 7, version: sha256(bytes), writtenAt: now.getTime() });
    expect(() => parseManifest(bytes, 'sources/y', 'here')).toThrow('is of something else');
    expect(() => parseManifest(Buffer.from('<html>'), 'sources/x', 'here')).toThrow('is not JSON');
    expect(() => parseManifest(Buffer.from('{"layers":[]}'), 'sources/x', 'here')).toThrow('is not of a cache');
  });
});

describe.skipIf(lacking !== undefined)(title, () => {
  it('keeps what is written, knows what it has not, and has artifacts that other tools know', async () => {
    await using server = await startCacheServer('registry', { password: false });
    const store = repositoryOn(server.host);
    expect(await store.stat('sources/x')).toBeUndefined();
    expect(await store.read('sources/x', 10)).toBeUndefined();
    expect(await store.open('sources/x')).toBeUndefined();
    await store.put('sources/x', bodyOf('content'));
    expect(await store.stat('sources/x')).toMatchObject({ size: 7, writtenAt: expect.any(Number) });
    expect((await store.read('sources/x', 10))?.bytes.toString()).toBe('content');
    await expect(store.read('sources/x', 3)).rejects.toMatchObject({ code: 'CACHE_UNUSABLE' });

    expect(await store.replace('signers.json', Buffer.from('one'), undefined)).toBe(true);
    expect(await store.replace('signers.json', Buffer.from('two'), undefined)).toBe(false);
    const first = await store.read('signers.json', 10);
    expect(await store.replace('signers.json', Buffer.from('two'), first?.version)).toBe(true);
    expect(await store.replace('signers.json', Buffer.from('three'), first?.version)).toBe(false);

    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const answer = await fetch(`http://${server.host}/v2/team/cache/manifests/sources-x`, { headers: { accept } });
    expect(answer.headers.get('content-type')).toBe(accept);
    expect(await answer.json()).toMatchObject({
      config: { mediaType: 'application/vnd.vmbuild.cache.v1+json' },
      layers: [{ mediaType: 'application/vnd.vmbuild.source.v1', digest: `sha256:${sha256('content')}`, size: 7 }],
    });
  });

  it('lets in who has the password', async () => {
    await using server = await startCacheServer('registry');
    for (const credentials of [undefined, { username: 'vmbuild', password: 'a-wrong-word' }]) {
      const store = repositoryOn(server.host, credentials);
      for (const ask of [() => store.stat('sources/x'), () => store.put('sources/x', bodyOf('content'))]) {
        const attempt = ask();
        await expect(attempt).rejects.toMatchObject({ code: 'CACHE_DENIED' });
        await expect(attempt).rejects.not.toThrow('a-wrong-word');
      }
    }
    const store = repositoryOn(server.host, { username: 'vmbuild', password: 'secret' });
    await store.put('sources/x', bodyOf('content'));
    expect((await store.read('sources/x', 10))?.bytes.toString()).toBe('content');
  });
});

describe('a registry with a token server', () => {
  it('is asked for a token to write with when something is written', async () => {
    const scopes: string[] = [];
    await using server = await loopback((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      if (url.pathname === '/token') {
        const scope = url.searchParams.get('scope') ?? '';
        scopes.push(scope);
        response.end(JSON.stringify({ token: scope.endsWith(':pull') ? 'reads' : 'writes' }));
        return;
      }
      const needed = request.method === 'GET' || request.method === 'HEAD' ? ['reads', 'writes'] : ['writes'];
      request.resume();
      if (!needed.includes(request.headers.authorization?.replace('Bearer ', '') ?? '')) {
        const realm = `http://${request.headers.host}/token`;
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="here"` }).end();
      } else if (request.method === 'POST') response.writeHead(202, { location: '/v2/team/cache/upload?id=1' }).end();
      else if (request.method === 'PUT') response.writeHead(201).end();
      else response.writeHead(404).end();
    });
    const store = repositoryOn(new URL(server.url).host);
    expect(await store.read('sources/x', 10)).toBeUndefined();
    await store.put('sources/x', bodyOf('content'));
    expect(scopes).toEqual(['repository:team/cache:pull', 'repository:team/cache:pull,push']);
    const uploads = server.requests.filter(({ method, url }) => method === 'PUT' && url?.includes('upload'));
    expect(uploads.at(-1)?.url).toBe(`/v2/team/cache/upload?id=1&digest=sha256%3A${sha256('content')}`);
  });

  it('that wants uploads sent elsewhere gets none', async () => {
    await using server = await loopback((request, response) => {
      request.resume();
      if (request.method === 'POST') response.writeHead(202, { location: 'http://127.0.0.1:1/upload' }).end();
      else response.writeHead(404).end();
    });
    const store = repositoryOn(new URL(server.url).host);
    await expect(store.put('sources/x', bodyOf('content'))).rejects.toThrow('which nothing is sent to');
  });
});
