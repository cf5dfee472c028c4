import { expectStatus, mayRetry, withRetries } from './http.ts';
import { rangeOf, validatorOf } from './httpDownload.ts';
import { HttpError } from './httpError.ts';
import type { HttpOptions, HttpResponse } from './httpExchange.ts';

/** Bytes that a connection must have brought for its end not to count as a failure. */
const WORTH_IT = 1024 * 1024;

/** A body that goes on where the line broke. */
export interface ResumedBody {
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops the connection if the body was not read to its end. */
  readonly close: () => void;
}

/**
 * The body of an answer, asked for from where it broke off (RFC 9110 §14) if the server can tell that it still has the same:
 * a strong ETag or a date. It throws what broke it if it cannot be resumed, or too often without progress.
 *
 * @param get repeats the GET with further headers; its errors and statuses are dealt with here.
 */
export function resumeBody(
  first: HttpResponse,
  options: HttpOptions,
  get: (headers: Readonly<Record<string, string>>) => Promise<HttpResponse>,
): ResumedBody {
  const validator = validatorOf(first);
  let response = first;

  const resume = async (received: number, cause: HttpError): Promise<AsyncIterator<Uint8Array>> => {
    const headers = { range: `bytes=${received}-`, 'if-range': validator as string };
    options.onRetry?.(`${cause.url}: ${cause.message}; going on from byte ${received}`);
    response = await withRetries(first.url, options, async () => {
      const answer = await get(headers);
      expectStatus(answer, [200, 206]);
      return answer;
    });
    if (response.status === 206 && rangeOf(response)?.start === received) return response.body[Symbol.asyncIterator]();
    response.close();
    throw cause;
  };

  async function* body(): AsyncGenerator<Uint8Array> {
    let received = 0;
    let counted = 0;
    let failures = 0;
    let chunks = first.body[Symbol.asyncIterator]();
    try {
      for (;;) {
        let next: IteratorResult<Uint8Array>;
        try {
          next = await chunks.next();
        } catch (error) {
          if (received >= counted + WORTH_IT) [counted, failures] = [received, 0];
          failures += 1;
          const hopeless = validator === undefined || received === 0 || failures >= (options.tries ?? 3);
          if (hopeless || !(error instanceof HttpError) || !mayRetry(error, options)) throw error;
          chunks = await resume(received, error);
          continue;
        }
        if (next.done === true) return;
        received += next.value.length;
        yield next.value;
      }
    } finally {
      response.close();
    }
  }
  return { body: body(), close: () => response.close() };
}
