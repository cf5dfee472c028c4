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

/** The URL without user, password, query and fragment: what may be shown and logged. */
export function redactUrl(url: string): string {
  if (!URL.canParse(url)) return '(not a URL)';
  const { protocol, host, pathname, search } = new URL(url);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}
