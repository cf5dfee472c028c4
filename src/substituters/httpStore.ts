import { expectStatus, httpGet, httpSend, readBytes, withRetries } from '../io/http.ts';
import { redactUrl } from '../io/httpError.ts';
import type { HttpBody, HttpOptions, HttpResponse } from '../io/httpExchange.ts';
import { sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ObjectStore } from './objectStore.ts';

/** How a request is authorised; asked anew for each, because a signature is of one request only. */
type Authorise = (request: {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the body, if there is one. */
  readonly sha256: string | undefined;
}) => Promise<Readonly<Record<string, string>>>;

/** What differs between web servers. */
export interface HttpStoreOptions {
  /** Base URL without credentials; objects lie below it. */
  readonly base: string;
  readonly where: string;
  readonly authorise: Authorise;
  readonly http: HttpOptions;
}

/** Any web server: a static one for reading, one that takes PUT for writing. */
export function openHttpStore({ base, where, authorise, http }: HttpStoreOptions): ObjectStore {
  const urlOf = (path: string): string => `${base.replace(/\/+$/, '')}/${path}`;

  const get = async (path: string, method: 'GET' | 'HEAD'): Promise<HttpResponse | undefined> => {
    const url = urlOf(path);
    return withRetries(url, http, async () => {
      const headers = await authorise({ method, url, headers: {}, sha256: undefined });
      const response = await httpGet(url, http, headers, method);
      if (response.status === 404 || response.status === 410) {
        response.close();
        return undefined;
      }
      refuseDenied(response, where);
      expectStatus(response, [200]);
      return response;
    });
  };

  /** @returns the status: 2xx, or 412 for a condition that does not hold. */
  const put = (
    path: string,
    body: HttpBody & { readonly sha256: string },
    condition: Readonly<Record<string, string>>,
  ) => {
    const url = urlOf(path);
    return withRetries(url, http, async () => {
      const given = { 'content-type': 'application/octet-stream', ...condition };
      const headers = await authorise({ method: 'PUT', url, headers: given, sha256: body.sha256 });
      const response = await httpSend(url, http, { ...given, ...headers }, { method: 'PUT', body });
      refuseDenied(response, where);
      if (response.status === 405 || response.status === 501) {
        response.close();
        throw new VmbuildError('CACHE_UNUSABLE', `${where} takes no uploads (HTTP ${response.status} for PUT)`);
      }
      // 409: what S3 answers to two conditional writes at once.
      expectStatus(response, [200, 201, 204, 409, 412]);
      await readBytes(response, 64 * 1024, true);
      return response.status;
    });
  };

  return {
    where,
    remote: true,
    read: async (path, limit) => {
      const response = await get(path, 'GET');
      if (response === undefined) return undefined;
      return { bytes: await readBytes(response, limit), version: response.headers.etag };
    },
    open: async (path) => {
      const response = await get(path, 'GET');
      if (response === undefined) return undefined;
      const length = response.headers['content-length'];
      return {
        body: response.body,
        size: length === undefined ? undefined : Number(length),
        close: () => response.close(),
      };
    },
    stat: async (path) => {
      const response = await get(path, 'HEAD');
      if (response === undefined) return undefined;
      response.close();
      const length = response.headers['content-length'];
      const written = Date.parse(response.headers['last-modified'] ?? '');
      return {
        size: length === undefined ? undefined : Number(length),
        writtenAt: Number.isNaN(written) ? undefined : written,
      };
    },
    put: async (path, body) => void (await put(path, body, {})),
    replace: async (path, bytes, version) => {
      const condition = version === undefined ? { 'if-none-match': '*' } : { 'if-match': version };
      const body = { size: bytes.length, sha256: sha256(bytes), open: () => [bytes] };
      return (await put(path, body, condition as Record<string, string>)) < 300;
    },
  };
}

/** That somebody is not let in is no miss: nothing would ever be found, and nobody would know why. */
function refuseDenied(response: HttpResponse, where: string): void {
  if (response.status !== 401 && response.status !== 403 && response.status !== 407) return;
  response.close();
  throw denied(where, `HTTP ${response.status} from ${redactUrl(response.url)}`);
}

/** The error for a cache that lets nobody in. */
export function denied(where: string, why: string): VmbuildError {
  return new VmbuildError('CACHE_DENIED', `${where} refuses access: ${why}`, {
    hints: ['Put credentials for it into the configuration, or into VMBUILD_CREDENTIALS; docs/caches.md says how.'],
  });
}
