import { HttpError } from '../io/httpError.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ObjectStore } from './objectStore.ts';

/**
 * A cache whose failures are told to a person: those of the line, and answers that make no sense, as VmbuildError
 * CACHE_UNUSABLE with the address, what was asked, and why it failed.
 */
export function explainFailures(store: ObjectStore): ObjectStore {
  const { where } = store;
  const explain = (path: string, error: unknown): unknown =>
    error instanceof HttpError
      ? new VmbuildError('CACHE_UNUSABLE', `${where}: ${path}: ${error.message} (${error.url})`, { cause: error })
      : error;

  const told = async <T>(path: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw explain(path, error);
    }
  };

  async function* body(path: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
    } catch (error) {
      throw explain(path, error);
    }
  }

  return {
    ...store,
    read: (path, limit) => told(path, store.read(path, limit)),
    open: async (path) => {
      const object = await told(path, store.open(path));
      return object && { ...object, body: body(path, object.body) };
    },
    stat: (path) => told(path, store.stat(path)),
    put: (path, content) => told(path, store.put(path, content)),
    replace: (path, bytes, version) => told(path, store.replace(path, bytes, version)),
  };
}
