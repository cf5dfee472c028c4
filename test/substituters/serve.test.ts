import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import { createCacheServer, type ServeOptions } from '../../src/substituters/serve.ts';
import { temporary } from '../support/temporary.ts';

const MEGABYTE = 1024 * 1024;
const NAME = `artifacts/${sha256('x')}.tar.zst`;

/** A server of a folder with one artifact of random bytes. */
interface Served extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly file: string;
  readonly bytes: Buffer;
  readonly errors: readonly string[];
}

async function served(size: number, options: Partial<ServeOptions> = {}): Promise<Served> {
  const root = await temporary();
  const file = join(root, NAME);
  mkdirSync(dirname(file), { recursive: true });
  const bytes = randomBytes(size);
  writeFileSync(file, bytes);
  const errors: string[] = [];
  const server = createCacheServer({
    root,
    writeToken: undefined,
    maxSize: MEGABYTE,
    signal: new AbortController().signal,
    onError: (message) => void errors.push(message),
    ...options,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${NAME}`,
    port,
    file,
    bytes,
    errors,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const ask = async (
  { url }: Served,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Buffer }> => {
  const response = await fetch(url, { headers, method });
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
};

/** True while this process has the file open. */
const isOpen = (file: string): boolean =>
  readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the one that lists them
    }
  });

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};

/** A connection of somebody who asks and does not read. */
async function asking(port: number, requests = 1): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET /${NAME} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(requests));
  return socket;
}

describe('vmbuild cache serve', () => {
  it('sends all of an object to many at once, and says that it never changes', async () => {
    await using server = await served(5 * MEGABYTE + 17);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(server)));
    for (const { status, body } of answers) expect([status, body.equals(server.bytes)]).toEqual([200, true]);
    const { headers } = await ask(server, {}, 'HEAD');
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(headers.get('content-length')).toBe(String(server.bytes.length));
    const etag = headers.get('etag') as string;
    expect((await ask(server, { 'if-none-match': etag })).status).toBe(304);
    expect(server.errors).toEqual([]);
    await until(() => !isOpen(server.file));
  });

  it('sends nothing of what is empty', async () => {
    await using server = await served(0);
    expect(await ask(server)).toMatchObject({ status: 200, body: Buffer.alloc(0) });
  });

  it.each([
    { range: 'bytes=0-0', from: 0, to: 1 },
    { range: 'bytes=300000-', from: 300_000, to: 700_000 },
    { range: 'bytes=262143-262144', from: 262_143, to: 262_145 },
    { range: 'bytes=100-9999999', from: 100, to: 700_000 },
    { range: 'bytes=-5', from: 699_995, to: 700_000 },
  ])('sends the range $range', async ({ range, from, to }) => {
    await using server = await served(700_000);
    const { status, headers, body } = await ask(server, { range });
    expect(status).toBe(206);
    expect(headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/700000`);
    expect(body.equals(server.bytes.subarray(from, to))).toBe(true);
  });

  it('sends all to who has another one in mind, and nothing of what is behind the end', async () => {
    await using server = await served(1000);
    expect((await ask(server, { range: 'bytes=10-', 'if-range': '"another"' })).body).toHaveLength(1000);
    const etag = `"${NAME.replace(/.*\//, '')}"`;
    expect((await ask(server, { range: 'bytes=10-', 'if-range': etag })).body).toHaveLength(990);
    for (const range of ['bytes=1000-', 'bytes=-0']) {
      const { status, headers } = await ask(server, { range });
      expect([status, headers.get('content-range')]).toEqual([416, 'bytes */1000']);
    }
  });

  it('reads no further than whoever is slow takes, and lets go of the file when he hangs up', async () => {
    await using server = await served(64 * MEGABYTE);
    const before = process.memoryUsage().rss;
    const sockets = await Promise.all(Array.from({ length: 4 }, () => asking(server.port, 2)));
    await until(() => isOpen(server.file));
    // Others are served meanwhile.
    expect((await ask(server, { range: 'bytes=0-999999' })).body).toHaveLength(1_000_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * MEGABYTE);
    for (const socket of sockets) socket.destroy();
    await until(() => !isOpen(server.file));
    expect(server.errors).toEqual([]);
  });

  it('breaks the connection when a file becomes shorter, instead of sending something else', async () => {
    await using server = await served(32 * MEGABYTE);
    const socket = await asking(server.port);
    await until(() => isOpen(server.file));
    truncateSync(server.file, 1000);
    let length = 0;
    socket.on('data', (chunk: Buffer) => (length += chunk.length));
    socket.resume();
    await once(socket, 'close');
    expect(length).toBeLessThan(32 * MEGABYTE);
    expect(server.errors).toEqual([expect.stringContaining('became shorter')]);
    await until(() => !isOpen(server.file));
  });
});
