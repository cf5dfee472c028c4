import { isLoopback } from '../formats/ociReference.ts';
import { expectStatus, httpGet, httpSend, readBytes, withRetries } from './http.ts';
import { HttpError } from './httpError.ts';
import type { HttpOptions, HttpRequest, HttpResponse } from './httpExchange.ts';

/** A user and password (or token) for a registry. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/** A repository of a registry, by the OCI distribution specification v1.1. Paths begin behind `/v2/<repository>/`. */
export interface Registry {
  /** The base URL of the repository. */
  readonly url: string;
  /** A GET, following redirects; another server is not told the credentials. The caller looks at the status. */
  readonly get: (
    path: string,
    headers?: Readonly<Record<string, string>>,
    method?: 'GET' | 'HEAD',
  ) => Promise<HttpResponse>;
  /** A request that changes something, to a path or to the address that an upload was given; never sent on elsewhere. */
  readonly send: (
    path: string,
    headers: Readonly<Record<string, string>>,
    request: HttpRequest,
  ) => Promise<HttpResponse>;
}

/** Where a repository is, and how to be let in. */
export interface RegistryOptions {
  readonly registry: string;
  readonly repository: string;
  /** HTTP without TLS; by default only for the machine itself. */
  readonly plainHttp?: boolean | undefined;
  readonly credentials?: RegistryCredentials | undefined;
  readonly http: HttpOptions;
}

/** The most that a token server may answer. */
const TOKEN_LIMIT = 64 * 1024;

/**
 * Opens a repository. No request is made before it is needed; a token that the registry asks for is fetched once and
 * used until it is refused.
 */
export function openRegistry(options: RegistryOptions): Registry {
  const { registry, repository, http, credentials } = options;
  const protocol = (options.plainHttp ?? isLoopback(registry)) ? 'http' : 'https';
  const origin = `${protocol}://${registry}`;
  const url = `${origin}/v2/${repository}/`;
  let authorization: string | undefined;
  let writing = false;

  const authorised = async (
    request: (headers: Readonly<Record<string, string>>) => Promise<HttpResponse>,
  ): Promise<HttpResponse> => {
    const attempt = (): Promise<HttpResponse> => request(authorization === undefined ? {} : { authorization });
    const response = await attempt();
    if (response.status !== 401) return response;
    const challenge = response.headers['www-authenticate'] ?? '';
    response.close();
    // Only what this registry itself asks for; a redirect's target gets nothing.
    if (new URL(response.url).origin !== origin) throw refused(response.url, credentials !== undefined);
    authorization = await answerChallenge(challenge, { ...options, url, actions: writing ? 'pull,push' : 'pull' });
    const again = await attempt();
    if (again.status !== 401 && again.status !== 403) return again;
    again.close();
    throw refused(url, credentials !== undefined);
  };
  return {
    url,
    get: (path, headers, method) =>
      authorised((shown) => httpGet(`${url}${path}`, http, { ...headers, ...shown }, method)),
    send: async (path, headers, request) => {
      const target = new URL(path, url);
      if (target.origin !== origin) {
        throw new HttpError('redirect', url, `uploads are wanted at ${target.origin}, which nothing is sent to`);
      }
      // What may only read is refused with 401, and a token that may write is asked for.
      writing = true;
      return authorised((shown) => httpSend(target.href, http, { ...headers, ...shown }, request));
    },
  };
}

/** What to send as `authorization` (RFC 9110 §11; for Bearer, the token protocol of the distribution project). */
async function answerChallenge(
  challenge: string,
  { credentials, repository, http, url, actions }: RegistryOptions & { readonly url: string; readonly actions: string },
): Promise<string> {
  const basic =
    credentials && `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  const [, scheme = '', text = ''] = /^\s*(\S+)\s*(.*)$/.exec(challenge) ?? [];
  if (scheme.toLowerCase() === 'basic' && basic !== undefined) return basic;
  if (scheme.toLowerCase() !== 'bearer') throw refused(url, credentials !== undefined);
  const parameters = new Map([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
  const realm = URL.parse(parameters.get('realm') ?? '');
  // Whoever can answer a plain request could otherwise have the password sent anywhere in the clear.
  // And what listens on this machine is nothing that a registry elsewhere may talk to through us.
  const here = isLoopback(realm?.host ?? '');
  const own = realm?.origin === new URL(url).origin;
  const unsafe = here ? !isLoopback(new URL(url).host) : realm?.protocol !== 'https:' && !own;
  if (realm === null || unsafe)
    throw new HttpError('redirect', url, 'the registry names no token server that can be used');
  const service = parameters.get('service');
  if (service !== undefined) realm.searchParams.set('service', service);
  realm.searchParams.set('scope', `repository:${repository}:${actions}`);
  const answer = await withRetries(realm.href, http, async () => {
    const response = await httpGet(realm.href, http, basic === undefined ? {} : { authorization: basic });
    if (response.status === 401 || response.status === 403) {
      response.close();
      throw refused(realm.href, credentials !== undefined);
    }
    expectStatus(response, [200]);
    return (await readBytes(response, TOKEN_LIMIT)).toString();
  });
  const { token, access_token } = JSON.parse(answer) as { token?: unknown; access_token?: unknown };
  const found = token ?? access_token;
  if (typeof found !== 'string' || !/^[\x21-\x7e]+$/.test(found)) {
    throw new HttpError('status', realm.href, 'the token server gave no token');
  }
  return `Bearer ${found}`;
}

function refused(url: string, given: boolean): HttpError {
  const why = given ? 'the credentials are refused' : 'it wants credentials, and none are known (docker login)';
  return new HttpError('status', url, why, { status: 401 });
}
