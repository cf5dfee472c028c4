import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { errorMessage, systemErrorCode } from '../model/errors.ts';
import { agentFor, type ProxyChoice } from './httpAgents.ts';
import { HttpError } from './httpError.ts';

// Built on node:http and not on fetch: fetch undoes content codings, which changes the bytes that a digest is of, has
// no time limit for connecting, and takes more CPU per byte.

/** Everything but `signal` has a default. Times are milliseconds. */
export interface HttpOptions {
  readonly signal: AbortSignal;
  /** Until the TCP connection stands; default 15 s. */
  readonly connectTimeout?: number | undefined;
  /** The longest silence after that; there is no limit in total. Default 30 s. */
  readonly idleTimeout?: number | undefined;
  /** Bytes a second below which, over `rateWindow` of waiting, a body counts as stalled. Default 0: any. */
  readonly slowest?: number | undefined;
  /** Default 10 s. */
  readonly rateWindow?: number | undefined;
  /** Tries in all; default 3. */
  readonly tries?: number | undefined;
  /** False: what has cost a time limit once is not tried again. Default true. */
  readonly retryTimeouts?: boolean | undefined;
  /** Wait before the second try, doubled for each further one, plus up to as much again at random. Default 500 ms. */
  readonly backoff?: number | undefined;
  /** The longest that a server may ask to wait before the next try; if it asks for more, that is its answer. Default 60 s. */
  readonly patience?: number | undefined;
  readonly proxy?: ProxyChoice;
  /** Told before a try is repeated; the text is fit for people. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** An answer. Its body must be read to the end or `close()`d. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The address that answered, with its secrets. */
  readonly url: string;
  /** The bytes as they were sent: no content coding is ever undone, because a digest is of those bytes. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops the connection if the body was not read to its end. */
  close(): void;
}

/** What is sent besides headers. */
export interface HttpRequest {
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE' | undefined;
  readonly body?: HttpBody | undefined;
}

/** A body that can be sent again. */
export interface HttpBody {
  /** Bytes. */
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** One request and its answer, whatever its status; redirects are answers, too. Throws HttpError, or the signal's reason. */
export async function exchange(
  url: URL,
  options: HttpOptions,
  headers: Readonly<Record<string, string>>,
  sent: HttpRequest = {},
): Promise<HttpResponse> {
  const response = await send(url, options, headers, sent);
  // Errors come out of the body; one that happens before it is read must not be an unhandled event.
  response.on('error', () => {});
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    url: url.href,
    body: readBody(response, url, options),
    close: () => void response.destroy(),
  };
}

function send(
  url: URL,
  options: HttpOptions,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', body }: HttpRequest,
): Promise<IncomingMessage> {
  const { signal, connectTimeout = 15_000, idleTimeout = 30_000 } = options;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      agent: agentFor(url.protocol, options.proxy),
      method,
      headers: {
        'user-agent': 'vmbuild',
        'accept-encoding': 'identity',
        ...(body === undefined ? {} : { 'content-length': String(body.size) }),
        ...headers,
      },
      signal,
    });
    const timeout = (after: number, what: string) =>
      setTimeout(() => request.destroy(new HttpError('timeout', url.href, `${what} for ${after / 1000} s`)), after);
    let watchdog = timeout(connectTimeout, 'no connection');
    let answered = false;
    const connected = () => {
      clearTimeout(watchdog);
      if (!answered) watchdog = timeout(idleTimeout, 'no answer');
    };
    request.on('socket', (socket) => (socket.connecting ? socket.once('connect', connected) : connected()));
    request.on('response', (response) => {
      answered = true;
      clearTimeout(watchdog);
      resolve(response);
    });
    // Stays after the answer too: an error without a listener would end the process.
    request.on('error', (error) => {
      clearTimeout(watchdog);
      reject(signal.aborted ? signal.reason : describe(error, url));
    });
    if (body === undefined) {
      request.end();
      return;
    }
    const content = Readable.from(body.open(), { objectMode: false });
    // Whoever takes what is sent is not silent.
    content.on('data', () => request.socket?.connecting === false && connected());
    content.on('error', (error) => request.destroy(error));
    request.on('close', () => content.destroy());
    content.pipe(request);
  });
}

async function* readBody(response: IncomingMessage, url: URL, options: HttpOptions): AsyncGenerator<Uint8Array> {
  const { signal, idleTimeout = 30_000, slowest = 0, rateWindow = 10_000 } = options;
  // Only waiting counts, so that a slow disk is not taken for a slow line.
  let waited = 0;
  let received = 0;
  const chunks = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      const start = performance.now();
      const watchdog = setTimeout(() => {
        response.destroy(new HttpError('timeout', url.href, `nothing received for ${idleTimeout / 1000} s`));
      }, idleTimeout);
      try {
        const { value, done } = await chunks.next();
        if (done === true) return;
        clearTimeout(watchdog);
        waited += performance.now() - start;
        received += (value as Uint8Array).length;
        if (waited >= rateWindow) {
          if ((received * 1000) / waited < slowest)
            throw new HttpError('timeout', url.href, `less than ${slowest} bytes a second`);
          waited = 0;
          received = 0;
        }
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
