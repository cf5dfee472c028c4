import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpOptions } from '../../src/io/httpExchange.ts';

/** A real web server on 127.0.0.1 for a test; closes with the scope. */
export interface Loopback extends AsyncDisposable {
  readonly url: string;
  /** Every request so far: `GET /path`, in order. */
  readonly requests: readonly IncomingMessage[];
}

/** Handlers see every request; what they throw or reject with ends the test run, on purpose. */
export async function loopback(
  handler: (request: IncomingMessage, response: ServerResponse, index: number) => unknown,
): Promise<Loopback> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    void handler(request, response, requests.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Serves fixed content by path, whatever the query; everything else is 404. */
export function files(content: Readonly<Record<string, string | Uint8Array>>): Promise<Loopback> {
  return loopback((request, response) => {
    const body = content[decodeURIComponent(request.url?.replace(/\?.*/, '') ?? '')];
    if (body === undefined) response.writeHead(404).end('no such file');
    else response.end(body);
  });
}

/** An address where nothing listens any more. */
export async function deadUrl(): Promise<string> {
  const server = await loopback(() => {});
  await server[Symbol.asyncDispose]();
  return server.url;
}

/** Retries without waiting. Tests of time limits set their own: a loaded machine is slow. */
export const FAST = { tries: 3, backoff: 1, connectTimeout: 20_000, idleTimeout: 20_000 } as const;

/** Options for a request of a test. */
export function fast(options: Partial<HttpOptions> = {}): HttpOptions {
  return { ...FAST, signal: new AbortController().signal, ...options };
}
