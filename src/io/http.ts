import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpError, redactUrl } from './httpError.ts';
import { exchange, type HttpOptions, type HttpRequest, type HttpResponse } from './httpExchange.ts';

const MAX_REDIRECTS = 10;
const MAX_RETRY_AFTER = 60_000;

/** Headers that are for one server alone. */
const CREDENTIALS: readonly string[] = ['authorization', 'x-amz-security-token'];

/**
 * One GET (or HEAD), following redirects; another server is not told the credentials. Throws HttpError, or the signal's
 * reason.
 */
export async function httpGet(
  url: string,
  options: HttpOptions,
  headers: Readonly<Record<string, string>> = {},
  method: 'GET' | 'HEAD' = 'GET',
): Promise<HttpResponse> {
  let current = parseUrl(url, url);
  let sent = headers;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await exchange(current, options, sent, { method });
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
    response.close();
    const next = parseUrl(location, url, current);
    if (current.protocol === 'https:' && next.protocol !== 'https:') {
      throw new HttpError('redirect', url, `redirected from https to ${redactUrl(next.href)}`);
    }
    // Credentials are for the server that they were given for.
    if (next.origin !== current.origin) {
      sent = Object.fromEntries(Object.entries(sent).filter(([name]) => !CREDENTIALS.includes(name.toLowerCase())));
    }
    current = next;
  }
  throw new HttpError('redirect', url, `more than ${MAX_REDIRECTS} redirects`);
}

/**
 * One request that changes something. A redirect is refused: what is sent, and the credentials, are for the server that was
 * named.
 */
export async function httpSend(
  url: string,
  options: HttpOptions,
  headers: Readonly<Record<string, string>>,
  request: HttpRequest,
): Promise<HttpResponse> {
  const response = await exchange(parseUrl(url, url), options, headers, request);
  if (![301, 302, 303, 307, 308].includes(response.status)) return response;
  response.close();
  const where = redactUrl(URL.parse(response.headers.location ?? '', url)?.href ?? '');
  throw new HttpError(
    'redirect',
    url,
    `redirected to ${where}, which nothing is sent to; use that address if it is right`,
  );
}

/** Throws, and drops the connection, unless the status is one of `wanted`. */
export function expectStatus(response: HttpResponse, wanted: readonly number[]): void {
  if (wanted.includes(response.status)) return;
  response.close();
  const reason = http.STATUS_CODES[response.status];
  throw new HttpError('status', response.url, `HTTP ${response.status}${reason === undefined ? '' : ` ${reason}`}`, {
    status: response.status,
    retryAfter: parseRetryAfter(response.headers['retry-after']),
  });
}

/**
 * Runs `attempt` until it succeeds, its error is none that passes by itself, or the tries are used up.
 * `progress` counts what survives a failed try: one that got 1 MiB further than any before costs nothing,
 * so a large download survives a poor line, while the total number of tries stays finite.
 */
export async function withRetries<T>(
  url: string,
  options: HttpOptions,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  const { tries = 3, backoff = 500, patience = MAX_RETRY_AFTER, signal } = options;
  let furthest = 0;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (progress() >= furthest + 1024 * 1024) {
        furthest = progress();
        failures = 1;
      }
      if (!(error instanceof HttpError) || !mayRetry(error, options) || failures >= tries) throw error;
      if ((error.retryAfter ?? 0) > patience) throw error;
      options.onRetry?.(`${redactUrl(url)}: ${error.message}; trying again (${failures + 1} of ${tries})`);
      const wait = error.retryAfter ?? backoff * 2 ** (failures - 1) * (1 + Math.random());
      await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Whether the same request is worth another try. */
export function mayRetry(error: HttpError, { retryTimeouts = true }: HttpOptions): boolean {
  return error.retryable && (retryTimeouts || error.failure !== 'timeout');
}

/**
 * A small document, whole, with retries.
 *
 * @param limit The most bytes it may have. With `start`, only the first `limit` bytes are fetched of whatever there is.
 */
export function fetchBytes(
  url: string,
  options: HttpOptions & { readonly limit: number; readonly start?: boolean | undefined },
): Promise<Buffer> {
  return withRetries(url, options, async () => {
    const headers = options.start === true ? { range: `bytes=0-${options.limit - 1}` } : {};
    const response = await httpGet(url, options, headers as Record<string, string>);
    expectStatus(response, [200, ...(options.start === true ? [206] : [])]);
    return readBytes(response, options.limit, options.start);
  });
}

/**
 * The body of an answer.
 *
 * @param limit The most bytes it may have. With `start`, the rest is left out.
 */
export async function readBytes(response: HttpResponse, limit: number, start = false): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length <= limit) continue;
    if (!start) throw new HttpError('length', response.url, `longer than ${limit} bytes`);
    break;
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

function parseUrl(text: string, original: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new HttpError(base === undefined ? 'url' : 'redirect', original, 'not an http or https address');
  }
  return url;
}

function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER);
}
