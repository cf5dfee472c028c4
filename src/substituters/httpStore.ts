import { expectStatus, httpGet, httpSend, readBytes, withRetries } from '../io/http.ts';
import { redactUrl } from '../io/httpError.ts';
import type { HttpBody, HttpOptions, HttpResponse } from '../io/httpExchange.ts';
import { resumeBody } from '../io/httpResume.ts';
import { sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { denied } from './denied.ts';
import type { ObjectStore } from './objectStore.ts';
import { replaceUnconditionally, wasReplaced } from './replace.ts';

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
  /** Looks at an answer that is none, before it is judged by its status; throws what it is about, or leaves the body alone. */
  readonly explain?: ((response: HttpResponse) => Promise<void>) | undefined;
  /** The server is known to keep conditions (RFC 9110 §13) of a PUT. Default: it is found out. */
  readonly conditional?: boolean | undefined;
  readonly http: HttpOptions;
}

/** Any web server: a static one for reading, one that takes PUT for writing. */
export function openHttpStore(options: HttpStoreOptions): ObjectStore {
  const { base, where, authorise, explain, http } = options;
  const urlOf = (path: string): string => `${base.replace(/\/+$/, '')}/${path}`;

  const judge = async (response: HttpResponse, wanted: readonly number[]): Promise<void> => {
    if (wanted.includes(response.status)) return;
    await explain?.(response);
    refuseDenied(response, where);
    expectStatus(response, wanted);
  };

  const ask = async (
    path: string,
    method: 'GET' | 'HEAD',
    further: Readonly<Record<string, string>> = {},
  ): Promise<HttpResponse> => {
    const url = urlOf(path);
    const headers = await authorise({ method, url, headers: {}, sha256: undefined });
    return httpGet(url, http, { ...further, ...headers }, method);
  };

  const get = async (path: string, method: 'GET' | 'HEAD'): Promise<HttpResponse | undefined> => {
    const response = await ask(path, method);
    await judge(response, [200, 404, 410]);
    if (response.status === 200) return response;
    if (response.status === 404) await explain?.(response);
    // To its end, so that the next question goes over the same connection.
    await readBytes(response, 64 * 1024, true);
    return undefined;
  };

  /** The answer: 2xx, or 412 for a condition that does not hold. */
  const put = (
    path: string,
    body: HttpBody & { readonly sha256: string },
    condition: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> => {
    const url = urlOf(path);
    return withRetries(url, http, async () => {
      const given = { 'content-type': 'application/octet-stream', ...condition };
      const headers = await authorise({ method: 'PUT', url, headers: given, sha256: body.sha256 });
      const response = await httpSend(url, http, { ...given, ...headers }, { method: 'PUT', body });
      if (response.status === 405 || response.status === 501) {
        response.close();
        throw new VmbuildError('CACHE_UNUSABLE', `${where} takes no uploads (HTTP ${response.status} for PUT)`);
      }
      // 409: what S3 answers to two conditional writes at once.
      await judge(response, [200, 201, 204, 409, 412]);
      await readBytes(response, 64 * 1024, true);
      return response;
    });
  };

  const store: ObjectStore = {
    where,
    remote: true,
    read: (path, limit) =>
      withRetries(urlOf(path), http, async () => {
        const response = await get(path, 'GET');
        if (response === undefined) return undefined;
        const bytes = await readBytes(response, limit);
        return { bytes, version: strongTag(response) ?? contentVersion(bytes) };
      }),
    open: async (path) => {
      const response = await withRetries(urlOf(path), http, () => get(path, 'GET'));
      if (response === undefined) return undefined;
      const length = response.headers['content-length'];
      const resumed = resumeBody(response, http, (headers) => ask(path, 'GET', headers));
      return { ...resumed, size: length === undefined ? undefined : Number(length) };
    },
    stat: async (path) => {
      const response = await withRetries(urlOf(path), http, () => get(path, 'HEAD'));
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
      if (version?.startsWith(CONTENT) === true) return replaceUnconditionally(store, path, bytes, version);
      const condition = version === undefined ? { 'if-none-match': '*' } : { 'if-match': version };
      const body = { size: bytes.length, sha256: sha256(bytes), open: () => [bytes] };
      const response = await put(path, body, condition as Record<string, string>);
      if (response.status >= 300) return false;
      // Many servers take no notice of conditions (nginx is one); those that do tell the new tag.
      if (options.conditional === true || response.headers.etag !== undefined) return true;
      return wasReplaced(store, path, bytes);
    },
  };
  return store;
}

/** What stands for a version where the server gives no tag that conditions can be made of. */
const CONTENT = 'sha256:';

const contentVersion = (bytes: Buffer): string => `${CONTENT}${sha256(bytes)}`;

function strongTag({ headers: { etag } }: HttpResponse): string | undefined {
  return etag?.startsWith('"') === true ? etag : undefined;
}

/** That somebody is not let in is no miss: nothing would ever be found, and nobody would know why. */
function refuseDenied(response: HttpResponse, where: string): void {
  if (response.status !== 401 && response.status !== 403 && response.status !== 407) return;
  response.close();
  throw denied(where, `HTTP ${response.status} from ${redactUrl(response.url)}`);
}
