import { HttpError } from '../io/httpError.ts';
import type { HttpBody, HttpOptions, HttpResponse } from '../io/httpExchange.ts';
import { resumeBody } from '../io/httpResume.ts';
import { expectStatus, readBytes, withRetries } from '../io/http.ts';
import { openRegistry, type RegistryCredentials } from '../io/registry.ts';
import { sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { OciAddress } from './address.ts';
import { denied } from './denied.ts';
import type { ObjectStore } from './objectStore.ts';
import {
  CONFIG,
  formatManifest,
  MANIFEST_LIMIT,
  MANIFEST_TYPE,
  type OciObject,
  parseManifest,
  tagOf,
} from './ociManifest.ts';
import { replaceUnconditionally } from './replace.ts';

/** What opening a repository as a cache takes. */
export interface OciStoreOptions {
  readonly plainHttp: boolean | undefined;
  readonly credentials: RegistryCredentials | undefined;
  readonly http: HttpOptions;
}

/**
 * A repository of a registry: each object is an artifact of the OCI image specification, with a manifest of its own under a tag
 * that is made of its path, and the object as its only layer. Neither a listing nor the referrers API is needed.
 */
export function openOciStore(
  { registry: host, repository }: OciAddress,
  { plainHttp, credentials, http }: OciStoreOptions,
): ObjectStore {
  const where = `oci://${host}/${repository}`;
  const registry = openRegistry({ registry: host, repository, plainHttp, credentials, http });

  /** Does requests with retries; who is not let in is told so. */
  const ask = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await withRetries(`${registry.url}${path}`, http, work);
    } catch (error) {
      if (!(error instanceof HttpError) || (error.status !== 401 && error.status !== 403)) throw error;
      const hint = `docker login ${host} puts credentials where they are looked for; so does the configuration (docs/caches.md).`;
      throw denied(where, `${error.message}, ${error.url}`, hint);
    }
  };

  /** The answer to a GET or HEAD; undefined for what is not there. */
  const get = async (path: string, accept: string, method?: 'HEAD'): Promise<HttpResponse | undefined> => {
    const response = await registry.get(path, { accept }, method);
    expectStatus(response, [200, 404]);
    if (response.status === 200) return response;
    await readBytes(response, MANIFEST_LIMIT, true);
    return undefined;
  };

  const find = (path: string): Promise<OciObject | undefined> => {
    const place = `manifests/${tagOf(path)}`;
    return ask(place, async () => {
      const response = await get(place, MANIFEST_TYPE);
      return response && parseManifest(await readBytes(response, MANIFEST_LIMIT), path, where);
    });
  };

  const hasBlob = (digest: string): Promise<boolean> => {
    const place = `blobs/sha256:${digest}`;
    return ask(place, async () => {
      const response = await get(place, '*/*', 'HEAD');
      response?.close();
      return response !== undefined;
    });
  };

  const putBlob = async (body: HttpBody & { readonly sha256: string }): Promise<void> => {
    if (await hasBlob(body.sha256)) return;
    await ask('blobs/uploads/', async () => {
      const begun = await registry.send('blobs/uploads/', {}, { method: 'POST', body: NOTHING });
      expectStatus(begun, [202]);
      const { location } = begun.headers;
      await readBytes(begun, MANIFEST_LIMIT, true);
      const upload = URL.parse(location ?? '', registry.url);
      if (location === undefined || upload === null) throw unusable('it gave no place for an upload');
      upload.searchParams.set('digest', `sha256:${body.sha256}`);
      const headers = { 'content-type': 'application/octet-stream' };
      const response = await registry.send(upload.href, headers, { method: 'PUT', body });
      expectStatus(response, [201, 204]);
      await readBytes(response, MANIFEST_LIMIT, true);
    });
  };

  const unusable = (why: string): VmbuildError => new VmbuildError('CACHE_UNUSABLE', `${where}: ${why}`);

  const store: ObjectStore = {
    where,
    remote: true,
    read: async (path, limit) => {
      const object = await find(path);
      if (object === undefined) return undefined;
      if (object.size > limit) throw unusable(`${path} is longer than ${limit} bytes`);
      const place = `blobs/sha256:${object.digest}`;
      return ask(place, async () => {
        const response = await get(place, '*/*');
        if (response === undefined) return undefined;
        const bytes = await readBytes(response, limit);
        if (sha256(bytes) !== object.digest) throw unusable(`${path} is not what its manifest says`);
        return { bytes, version: object.version };
      });
    },
    open: async (path) => {
      const object = await find(path);
      if (object === undefined) return undefined;
      const place = `blobs/sha256:${object.digest}`;
      const response = await ask(place, () => get(place, '*/*'));
      if (response === undefined) return undefined;
      const resumed = resumeBody(response, http, (headers) => registry.get(place, { accept: '*/*', ...headers }));
      return { ...resumed, size: object.size };
    },
    stat: async (path) => {
      const object = await find(path);
      // A registry that lost the layer has nothing.
      if (object === undefined || !(await hasBlob(object.digest))) return undefined;
      return { size: object.size, writtenAt: object.writtenAt };
    },
    put: async (path, body) => {
      await putBlob(CONFIG);
      await putBlob(body);
      const manifest = Buffer.from(formatManifest(path, body, new Date()));
      const place = `manifests/${tagOf(path)}`;
      await ask(place, async () => {
        const headers = { 'content-type': MANIFEST_TYPE };
        const content = { size: manifest.length, open: () => [manifest] };
        const response = await registry.send(place, headers, { method: 'PUT', body: content });
        expectStatus(response, [200, 201, 202, 204]);
        await readBytes(response, MANIFEST_LIMIT, true);
      });
    },
    // No registry knows conditions.
    replace: (path, bytes, version) => replaceUnconditionally(store, path, bytes, version),
  };
  return store;
}

const NOTHING: HttpBody = { size: 0, open: () => [] };
