import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { isLoopback } from '../../formats/ociReference.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { createCacheServer } from '../../substituters/serve.ts';
import { interruptSignal } from '../interrupt.ts';

/** Options of `vmbuild cache serve`. */
interface ServeCommandOptions {
  readonly listen: string;
  readonly writeTokenFile?: string;
}

/** The largest object that is taken: no artifact comes near it. */
const MAX_SIZE = 64 * 1024 ** 3;

/** `vmbuild cache serve`: a folder over HTTP, until it is stopped. */
export async function cacheServe(folder: string, options: ServeCommandOptions): Promise<void> {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(options.listen) ?? [];
  if (host === '') throw new VmbuildError('USAGE', `--listen takes host:port, not ${JSON.stringify(options.listen)}`);
  const root = resolve(folder);
  using interrupt = interruptSignal();
  mkdirSync(root, { recursive: true });
  const writeToken = options.writeTokenFile === undefined ? undefined : readToken(options.writeTokenFile);
  const server = createCacheServer({
    root,
    writeToken,
    maxSize: MAX_SIZE,
    signal: interrupt.signal,
    onError: (message) => void process.stderr.write(`${message}\n`),
  });
  try {
    server.listen(Number(port), host.replace(/^\[|\]$/g, ''));
    await once(server, 'listening');
  } catch (error) {
    throw new VmbuildError('USAGE', `cannot listen on ${options.listen}: ${errorMessage(error)}`, { cause: error });
  }
  const { port: bound } = server.address() as AddressInfo;
  process.stdout.write(
    `serving ${root} on http://${host}:${bound}/${writeToken === undefined ? ' (read-only)' : ''}\n`,
  );
  if (!isLoopback(host)) {
    process.stderr.write('others reach this server, without TLS: put a proxy with TLS in front of it if they write.\n');
  }
  await new Promise<void>((stopped) => interrupt.signal.addEventListener('abort', () => stopped(), { once: true }));
  server.close();
  server.closeAllConnections();
}

function readToken(file: string): string {
  try {
    const token = readFileSync(file, 'utf8').trim();
    if (!/^[\x21-\x7e]{16,}$/.test(token)) {
      throw new VmbuildError('USAGE', `${file} holds no token: at least 16 characters without spaces`);
    }
    return token;
  } catch (error) {
    if (error instanceof VmbuildError) throw error;
    throw new VmbuildError('USAGE', `${file} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
