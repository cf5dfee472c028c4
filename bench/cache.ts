/**
 * Writes a tree to a cache and takes it from there, as `vmbuild cache push` and `realize` do.
 *
 *   cache.ts seed STORE TREE      takes a copy of a folder into a store; prints its digest and size
 *   cache.ts up STORE DIGEST URL  writes it to a cache that lacks it
 *   cache.ts down URL DIGEST SIZE STORE
 *   cache.ts serve FOLDER TOKEN   serves a folder until it is killed; prints the port
 *   cache.ts read URL COUNT       reads an object COUNT times, four at a time; prints bytes and milliseconds
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fetchTree } from '../src/build/fetchTree.ts';
import { Uploads } from '../src/build/uploads.ts';
import type { Digest } from '../src/model/digest.ts';
import { adoptTree } from '../src/store/artifacts.ts';
import { openStore } from '../src/store/openStore.ts';
import type { ObjectStore } from '../src/substituters/objectStore.ts';
import { NAMED_CACHE_HTTP, openCache } from '../src/substituters/openCache.ts';
import { createCacheServer } from '../src/substituters/serve.ts';
import { openSubstituter } from '../src/substituters/substituter.ts';

const { signal } = new AbortController();
const [verb, ...args] = process.argv.slice(2);
const [first = '', second = '', third = '', fourth = ''] = args;

function cacheAt(url: string): ObjectStore {
  const token = process.env['BENCH_TOKEN'];
  return openCache(url, {
    credentials: () => (token === undefined ? undefined : { token }),
    http: { ...NAMED_CACHE_HTTP, signal },
  });
}

async function seed(folder: string, tree: string): Promise<void> {
  const store = await openStore(folder);
  const copy = join(mkdtempSync(join(store.layout.temporary, 'seed-')), 'tree');
  spawnSync('cp', ['-r', tree, copy]);
  const { digest, size } = await adoptTree(store, copy);
  process.stdout.write(`${digest} ${size}\n`);
}

async function up(folder: string, digest: string, url: string): Promise<void> {
  const store = await openStore(folder);
  const uploads = new Uploads({ store, cache: cacheAt(url), signal, onPushed: () => {} });
  if (!(await uploads.tree(digest as Digest)) || uploads.written !== 1) throw new Error('nothing was written');
}

async function down(url: string, digest: string, size: number, folder: string): Promise<void> {
  const store = await openStore(folder);
  const fail = (message: string): never => {
    throw new Error(message);
  };
  const facts = await fetchTree({ digest: digest as Digest, size }, [openSubstituter(cacheAt(url), signal, fail)], {
    store,
    signal,
  });
  if (facts === undefined) throw new Error('it is not there');
}

async function serve(root: string, writeToken: string): Promise<void> {
  const onError = (message: string): void => void process.stderr.write(`${message}\n`);
  const server = createCacheServer({ root, writeToken, maxSize: 1e12, signal, onError });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
}

/**
 * What comes is thrown away, into the same memory again and again: the server is measured, and who asks takes as little of the
 * processor as can be.
 */
async function read(url: string, count: number): Promise<void> {
  const { hostname, port, pathname } = new URL(url);
  const request = `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n\r\n`;
  const start = performance.now();
  let bytes = 0;
  let left = count;
  const reader = async (): Promise<void> => {
    while (left-- > 0) {
      const onread = { buffer: Buffer.alloc(1 << 20), callback: (length: number) => ((bytes += length), true) };
      const socket = connect({ host: hostname, port: Number(port), onread });
      socket.write(request);
      await once(socket, 'close');
    }
  };
  await Promise.all([reader(), reader(), reader(), reader()]);
  process.stdout.write(`${bytes} ${Math.round(performance.now() - start)}\n`);
}

if (verb === 'seed') await seed(first, second);
else if (verb === 'up') await up(first, second, third);
else if (verb === 'down') await down(first, second, Number(third), fourth);
else if (verb === 'serve') await serve(first, second);
else if (verb === 'read') await read(first, Number(second));
else process.exitCode = 2;
