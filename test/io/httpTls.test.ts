import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { deadUrl, files, loopback } from './loopback.ts';

// What Node reads from the environment, it reads when it starts: so every case is a process of its own.
const PROGRAM = `
  import { fetchBytes } from ${JSON.stringify(join(import.meta.dirname, '../../src/io/http.ts'))};
  const tries = [];
  const options = { signal: new AbortController().signal, limit: 1000, backoff: 1, onRetry: (m) => tries.push(m) };
  console.log(await fetchBytes(process.argv[1], options).then(String, (e) => e.failure + ' after ' + (tries.length + 1)));`;

function fetchIn(environment: NodeJS.ProcessEnv, url: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const args = ['--input-type=module-typescript', '-e', PROGRAM, url];
  execFile(process.execPath, args, { env: environment }, (_, stdout, stderr) => resolve((stdout || stderr).trim()));
  return promise;
}

describe.skipIf(spawnSync('openssl', ['version']).status !== 0)('a server with a certificate of its own', () => {
  let folder: string;
  let url: string;
  const server = createServer((_, response) => response.end('secure'));
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'vmbuild-tls-'));
    const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost'.split(
      ' ',
    );
    const names = [
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      join(folder, 'key'),
      '-out',
      join(folder, 'cert'),
    ];
    execFileSync('openssl', [...request, ...names], { stdio: 'ignore' });
    server.setSecureContext({ key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'cert')) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await removeTree(folder);
  });

  test('is not trusted, and not asked again', async () => {
    expect(await fetchIn({}, url)).toBe('certificate after 1');
  });

  test.each(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'])('is trusted with %s', async (variable) => {
    expect(await fetchIn({ [variable]: join(folder, 'cert') }, url)).toBe('secure');
  });

  test('an SSL_CERT_FILE that is not there changes nothing', async () => {
    expect(await fetchIn({ SSL_CERT_FILE: '/nonexistent' }, url)).toBe('certificate after 1');
  });
});

describe('proxies of the environment', () => {
  test('http_proxy is used, in either case, and no_proxy kept', async () => {
    await using server = await files({ '/x': 'direct' });
    await using proxy = await loopback((request, response) => response.end(`by proxy: ${request.url}`));
    const url = `${server.url}/x`;
    expect(await fetchIn({ http_proxy: proxy.url }, url)).toBe(`by proxy: ${url}`);
    expect(await fetchIn({ HTTP_PROXY: proxy.url }, url)).toBe(`by proxy: ${url}`);
    expect(await fetchIn({ http_proxy: proxy.url, no_proxy: '127.0.0.1' }, url)).toBe('direct');
    expect(await fetchIn({ http_proxy: await deadUrl() }, url)).toBe('network after 3');
  });
});
