import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { expectStatus, httpGet, withRetries } from './http.ts';
import { HttpError } from './httpError.ts';
import type { HttpOptions, HttpResponse } from './httpExchange.ts';

/** A finished download. */
export interface Downloaded {
  readonly digest: Digest;
  readonly size: number;
}

export interface DownloadOptions extends HttpOptions {
  /** The exact number of bytes, if known; anything else is refused as early as it shows. */
  readonly size?: number | undefined;
  /** The most bytes to take where `size` is not known, so that a server cannot fill the disk. Default 8 GiB. */
  readonly maxSize?: number | undefined;
  /** Makes the GET with these headers, where more is needed than `httpGet` does. */
  readonly get?: ((headers: Readonly<Record<string, string>>) => Promise<HttpResponse>) | undefined;
  /** Bytes so far, and in all if known. */
  readonly onProgress?: ((received: number, total: number | undefined) => void) | undefined;
}

/**
 * Downloads `url` to the file `path`, hashing on the way. A broken transfer is resumed (RFC 9110 §14) where
 * the server can tell that its file is still the same one. `path` appears only when the
 * length is right; on failure or abort nothing is left.
 *
 * @throws HttpError, a system error (ENOSPC, EEXIST, …), or the signal's reason.
 */
export async function download(url: string, path: string, options: DownloadOptions): Promise<Downloaded> {
  const part = `${path}.part`;
  const file = await open(part, 'wx', 0o644);
  try {
    const transfer = new Transfer(url, file, options);
    const result = await withRetries(
      url,
      options,
      () => transfer.run(),
      () => transfer.received,
    );
    await file.close();
    await rename(part, path);
    return result;
  } catch (error) {
    await file.close();
    await rm(part, { force: true });
    throw error;
  }
}

/** What lasts from one try to the next. */
class Transfer {
  received = 0;
  private hash = sha256Stream();
  /** What tells that the file on the server is the one that was begun: a strong ETag or a date. */
  private validator: string | undefined;
  private readonly url: string;
  private readonly file: FileHandle;
  private readonly options: DownloadOptions;

  constructor(url: string, file: FileHandle, options: DownloadOptions) {
    this.url = url;
    this.file = file;
    this.options = options;
  }

  async run(): Promise<Downloaded> {
    const response = await this.request();
    try {
      const total = this.total(response);
      if (total !== undefined) this.checkTotal(total);
      await this.receive(response, total);
      const expected = this.options.size ?? total;
      if (expected !== undefined && this.received !== expected) {
        throw new HttpError('truncated', this.url, `ended after ${this.received} of ${expected} bytes`);
      }
      return { digest: this.hash.digest(), size: this.received };
    } finally {
      response.close();
    }
  }

  private async request(): Promise<HttpResponse> {
    const resume = this.received > 0 && this.validator !== undefined;
    const headers = resume ? { range: `bytes=${this.received}-`, 'if-range': this.validator as string } : {};
    const { get = (sent) => httpGet(this.url, this.options, sent) } = this.options;
    const response = await get(headers as Record<string, string>);
    if (resume && response.status === 206 && rangeOf(response)?.start === this.received) return response;
    // Either the first try, or the server sends the whole file again, or something that does not fit: from the start.
    await this.reset();
    if (resume && response.status !== 200) {
      response.close();
      throw new HttpError('truncated', this.url, `cannot be resumed (HTTP ${response.status})`);
    }
    expectStatus(response, [200]);
    this.validator = validatorOf(response);
    return response;
  }

  private async reset(): Promise<void> {
    await this.file.truncate(0);
    this.received = 0;
    this.hash = sha256Stream();
    this.validator = undefined;
  }

  private total(response: HttpResponse): number | undefined {
    if (response.status === 206) return rangeOf(response)?.total;
    const length = response.headers['content-length'];
    return length === undefined ? undefined : Number(length);
  }

  private checkTotal(total: number): void {
    const { size, maxSize = 8 * 1024 ** 3 } = this.options;
    if (size !== undefined && total !== size) {
      throw new HttpError('length', this.url, `the server has ${total} bytes, expected ${size}`);
    }
    if (size === undefined && total > maxSize) {
      throw new HttpError('length', this.url, `the server has ${total} bytes, at most ${maxSize} are taken`);
    }
  }

  private async receive(response: HttpResponse, total: number | undefined): Promise<void> {
    const { size, maxSize = 8 * 1024 ** 3, onProgress } = this.options;
    const limit = size ?? total ?? maxSize;
    for await (const chunk of response.body) {
      if (this.received + chunk.length > limit) {
        throw new HttpError('length', this.url, `the server sends more than ${limit} bytes`);
      }
      await writeAll(this.file, chunk, this.received);
      this.hash.update(chunk);
      this.received += chunk.length;
      onProgress?.(this.received, size ?? total);
    }
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.length - offset, position + offset);
    offset += bytesWritten;
  }
}

/** `Content-Range: bytes 5-9/10` → start 5, total 10; total is undefined for `*`. */
export function rangeOf(response: HttpResponse): { start: number; total: number | undefined } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '');
  if (match === null) return undefined;
  return { start: Number(match[1]), total: match[2] === '*' ? undefined : Number(match[2]) };
}

/** RFC 9110 §13.1.5: If-Range takes a strong entity tag or a date, never a weak tag. */
export function validatorOf(response: HttpResponse): string | undefined {
  const etag = response.headers.etag;
  if (etag !== undefined && !etag.startsWith('W/')) return etag;
  return response.headers['last-modified'];
}
