import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, systemErrorCode } from '../model/errors.ts';
import { agentFor, type ProxyChoice } from './httpAgents.ts';

// Built on node:http and not on fetch: fetch undoes content codings, which changes the bytes that a digest is of, has
// no time limit for connecting, and takes more CPU per byte.

/**
 * Why a request failed. `status`: the server answered something else than asked for. `network`: no
 * connection, or it broke. `timeout`: nothing moved. `truncated`: fewer bytes than announced. `length`: another
 * length than expected. `redirect`: too many, or to a place that is refused. `certificate`: TLS trust. `url`: not a web address.
 */
export type HttpFailure =
  'status' | 'network' | 'timeout' | 'truncated' | 'length' | 'redirect' | 'certificate' | 'url';

/** A failed request as data. Neither the message nor `url` holds passwords or query strings. */
export class HttpError extends Error {
  readonly failure: HttpFailure;
  readonly url: string;
  /** The HTTP status, for the failure `status`. */
  readonly status: number | undefined;
  /** Milliseconds that the server asked to wait (Retry-After, RFC 9110 §10.2.3). */
  readonly retryAfter: number | undefined;

  constructor(
    failure: HttpFailure,
    url: string,
    message: string,
    details: { status?: number; retryAfter?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HttpError';
    this.failure = failure;
    this.url = redactUrl(url);
    this.status = details.status;
    this.retryAfter = details.retryAfter;
  }

  /** True if the same request may well succeed a moment later. */
  get retryable(): boolean {
    if (this.failure === 'status') {
      const status = this.status ?? 0;
      return status >= 500 || status === 429 || status === 408;
    }
    return this.failure === 'network' || this.failure === 'timeout' || this.failure === 'truncated';
  }
}

/** Everything but `signal` has a default. Times are milliseconds. */
export interface HttpOptions {
  readonly signal: AbortSignal;
  /** Until the TCP connection stands; default 15 s. */
  readonly connectTimeout?: number | undefined;
  /** The longest silence after that; there is no limit in total. Default 30 s. */
  readonly idleTimeout?: number | undefined;
  /** Tries in all; default 3. */
  readonly tries?: number | undefined;
  /** Wait before the second try, doubled for each further one, plus up to as much again at random. Default 500 ms. */
  readonly backoff?: number | undefined;
  readonly proxy?: ProxyChoice;
  /** Told before a try is repeated; the text is fit for people. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** An answer of any status but a redirect. Its body must be read to the end or `close()`d. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The address after redirects, with its secrets. */
  readonly url: string;
  /** The bytes as they were sent: no content coding is ever undone, because a digest is of those bytes. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops the connection if the body was not read to its end. */
  close(): void;
}

const MAX_REDIRECTS = 10;
const MAX_RETRY_AFTER = 60_000;

/** The URL without user, password, query and fragment: what may be shown and logged. */
export function redactUrl(url: string): string {
  if (!URL.canParse(url)) return '(not a URL)';
  const { protocol, host, pathname, search } = new URL(url);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}

/** One GET, following redirects. Throws HttpError, or the signal's reason. */
export async function httpGet(
  url: string,
  options: HttpOptions,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpResponse> {
  let current = parseUrl(url, url);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await send(current, options, headers);
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
      // Errors come out of the body; one that happens before it is read must not be an unhandled event.
      response.on('error', () => {});
      const body = readBody(response, current, options);
      return { status, headers: response.headers, url: current.href, body, close: () => void response.destroy() };
    }
    response.destroy();
    const next = parseUrl(location, url, current);
    if (current.protocol === 'https:' && next.protocol !== 'https:') {
      throw new HttpError('redirect', url, `redirected from https to ${redactUrl(next.href)}`);
    }
    current = next;
  }
  throw new HttpError('redirect', url, `more than ${MAX_REDIRECTS} redirects`);
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
  const { tries = 3, backoff = 500, signal } = options;
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
      if (!(error instanceof HttpError) || !error.retryable || failures >= tries) throw error;
      options.onRetry?.(`${redactUrl(url)}: ${error.message}; trying again (${failures + 1} of ${tries})`);
      const wait = error.retryAfter ?? backoff * 2 ** (failures - 1) * (1 + Math.random());
      await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
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
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= options.limit) continue;
      if (options.start !== true) throw new HttpError('length', url, `longer than ${options.limit} bytes`);
      break;
    }
    return Buffer.concat(chunks).subarray(0, options.limit);
  });
}

function send(url: URL, options: HttpOptions, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const { signal, connectTimeout = 15_000, idleTimeout = 30_000 } = options;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      agent: agentFor(url.protocol, options.proxy),
      headers: { 'user-agent': 'vmbuild', 'accept-encoding': 'identity', ...headers },
      signal,
    });
    const timeout = (after: number, what: string) =>
      setTimeout(() => request.destroy(new HttpError('timeout', url.href, `${what} for ${after / 1000} s`)), after);
    let watchdog = timeout(connectTimeout, 'no connection');
    const connected = () => {
      clearTimeout(watchdog);
      watchdog = timeout(idleTimeout, 'no answer');
    };
    request.on('socket', (socket) => (socket.connecting ? socket.once('connect', connected) : connected()));
    request.on('response', (response) => {
      clearTimeout(watchdog);
      resolve(response);
    });
    // Stays after the answer too: an error without a listener would end the process.
    request.on('error', (error) => {
      clearTimeout(watchdog);
      reject(signal.aborted ? signal.reason : describe(error, url));
    });
    request.end();
  });
}

async function* readBody(response: IncomingMessage, url: URL, options: HttpOptions): AsyncGenerator<Uint8Array> {
  const { signal, idleTimeout = 30_000 } = options;
  const chunks = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Armed only while waiting for the server, so that a slow disk is not taken for a dead line.
      const watchdog = setTimeout(() => {
        response.destroy(new HttpError('timeout', url.href, `nothing received for ${idleTimeout / 1000} s`));
      }, idleTimeout);
      try {
        const { value, done } = await chunks.next();
        if (done === true) return;
        clearTimeout(watchdog);
        yield value;
      } catch (error) {
        throw signal.aborted ? signal.reason : describe(error, url);
      } finally {
        clearTimeout(watchdog);
      }
    }
  } finally {
    response.destroy();
  }
}

function describe(error: unknown, url: URL): unknown {
  if (error instanceof HttpError) return error;
  const code = systemErrorCode(error) ?? '';
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS_/.test(code)) {
    const message = `the server's certificate is not trusted: ${errorMessage(error)}`;
    return new HttpError('certificate', url.href, message, { cause: error });
  }
  // Several addresses were tried; each has its own error and the whole has no message.
  const inner = error instanceof AggregateError ? error.errors.map(errorMessage).join(', ') : errorMessage(error);
  const message = inner === 'aborted' ? 'the server broke the connection' : inner;
  return new HttpError('network', url.href, message, { cause: error });
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
