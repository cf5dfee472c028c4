import { describe, expect, it } from 'vitest';
import { openRegistry, type RegistryCredentials } from '../../src/io/registry.ts';
import { fast, loopback } from './loopback.ts';

const CREDENTIALS: RegistryCredentials = { username: 'user', password: 'pass' };
const BASIC = `Basic ${Buffer.from('user:pass').toString('base64')}`;

/** A registry whose answers are made by `answer`, with the host that its references name. */
async function registry(answer: Parameters<typeof loopback>[0], credentials?: RegistryCredentials) {
  const server = await loopback(answer);
  const host = new URL(server.url).host;
  const opened = openRegistry({ registry: host, repository: 'team/x', credentials, http: fast({ tries: 1 }) });
  return { server, opened, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe('a registry that wants a token', () => {
  it('gets the one that its token server gives for this repository, until it is refused', async () => {
    let valid = 'first';
    await using made = await registry((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      if (url.pathname === '/token') {
        expect(request.headers.authorization).toBe(BASIC);
        expect(Object.fromEntries(url.searchParams)).toEqual({ service: 'it', scope: 'repository:team/x:pull' });
        response.end(JSON.stringify({ token: valid }));
      } else if (request.headers.authorization === `Bearer ${valid}`) response.end('content');
      else {
        const challenge = `Bearer realm="http://${request.headers.host}/token",service="it"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      }
    }, CREDENTIALS);
    const status = async (path: string): Promise<number> => {
      const response = await made.opened.get(path);
      response.close();
      return response.status;
    };
    let seen = 0;
    const paths = (): string[] => {
      const fresh = made.server.requests.slice(seen);
      seen += fresh.length;
      return fresh.map(({ url = '' }) => url.replace(/\?.*/, ''));
    };
    expect(await status('blobs/a')).toBe(200);
    expect(paths()).toEqual(['/v2/team/x/blobs/a', '/token', '/v2/team/x/blobs/a']);
    expect(await status('blobs/b')).toBe(200);
    expect(paths()).toEqual(['/v2/team/x/blobs/b']);
    valid = 'second';
    expect(await status('blobs/c')).toBe(200);
    expect(paths()).toEqual(['/v2/team/x/blobs/c', '/token', '/v2/team/x/blobs/c']);
  });

  it.each([
    [
      'names a token server that is reached in the clear',
      'Bearer realm="http://registry.invalid/token"',
      'no token server',
    ],
    ['names none', 'Bearer service="x"', 'credentials are refused|no token'],
    ['wants something else', 'Negotiate', 'credentials are refused'],
    ['says nothing', '', 'credentials are refused'],
  ])('is told no password if it %s', async (_what, challenge, message) => {
    await using made = await registry(
      (_request, response) => response.writeHead(401, { 'www-authenticate': challenge }).end(),
      CREDENTIALS,
    );
    await expect(made.opened.get('blobs/a')).rejects.toThrow(new RegExp(message));
    for (const request of made.server.requests) expect(request.headers.authorization).toBeUndefined();
  });
});

describe('a registry elsewhere', () => {
  it('cannot make vmbuild talk to what listens on this machine', async () => {
    await using server = await loopback((request, response) => {
      const realm = `http://127.0.0.1:${new URL(server.url).port}/token`;
      if (request.url?.startsWith('/token')) response.end(JSON.stringify({ token: 'x' }));
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
    });
    // An address that is not of the loopback interface, but that the kernel takes for this machine.
    const host = `0.0.0.0:${new URL(server.url).port}`;
    const http = fast({ tries: 1 });
    const opened = openRegistry({
      registry: host,
      repository: 'team/x',
      plainHttp: true,
      credentials: CREDENTIALS,
      http,
    });
    await expect(opened.get('blobs/a')).rejects.toThrow('no token server that can be used');
    expect(server.requests.map(({ url }) => url)).toEqual(['/v2/team/x/blobs/a']);
  });
});

describe('a registry that sends on', () => {
  it('to another server: that one is not told the credentials', async () => {
    await using other = await loopback((_request, response) => response.end('content'));
    await using made = await registry((request, response) => {
      if (request.headers.authorization === BASIC) response.writeHead(307, { location: `${other.url}/blob` }).end();
      else response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    }, CREDENTIALS);
    const answer = await made.opened.get('blobs/a');
    expect(answer.status).toBe(200);
    answer.close();
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it('to another server that asks for a password: it gets none', async () => {
    await using other = await loopback((_request, response) =>
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
    );
    await using made = await registry(
      (_request, response) => response.writeHead(307, { location: `${other.url}/blob` }).end(),
      CREDENTIALS,
    );
    await expect(made.opened.get('blobs/a')).rejects.toThrow('refused');
    for (const { headers } of other.requests) expect(headers.authorization).toBeUndefined();
  });
});
