import { type Envelope, parseEnvelopes } from '../model/envelope.ts';
import { errorMessage, explainSystemError, VmbuildError } from '../model/errors.ts';
import { STATEMENTS_LIMIT } from './layout.ts';
import type { ObjectStore, OpenObject } from './objectStore.ts';

/** A cache that is asked during one run. What it lacks it is asked for once; when it fails it is not asked again. */
export interface Substituter {
  readonly where: string;
  readonly remote: boolean;
  /** Envelopes at a path, none if there are none. Nobody has verified them. */
  readonly envelopes: (path: string) => Promise<readonly Envelope[]>;
  /** Does something with the object at a path; undefined if there is none, or this cache is of no more use. */
  readonly use: <T>(path: string, work: (object: OpenObject) => Promise<T>) => Promise<T | undefined>;
  readonly has: (path: string) => Promise<boolean>;
}

/**
 * Wraps an object store for a run. Whatever goes wrong but a refusal of credentials drops it for the rest of the run, with
 * one warning: builds must not wait, again and again, for a server that is dead, slow or lying.
 *
 * @param drop ends what the store is still being asked.
 */
export function openSubstituter(
  store: ObjectStore,
  signal: AbortSignal,
  warn: (message: string) => void,
  drop: () => void = () => {},
): Substituter {
  let dropped = false;
  const misses = new Set<string>();

  const attempt = async <T>(path: string, work: () => Promise<T | undefined>): Promise<T | undefined> => {
    if (dropped || misses.has(path)) return undefined;
    try {
      const found = await work();
      if (found === undefined) misses.add(path);
      return found;
    } catch (thrown) {
      signal.throwIfAborted();
      if (dropped) return undefined;
      const error = explainSystemError(thrown, `taking ${path} from ${store.where}`);
      if (error instanceof VmbuildError && !HARMLESS.includes(error.code)) throw error;
      warn(`${store.where} is not asked any more: ${path}: ${errorMessage(error)}`);
      dropped = true;
      drop();
      return undefined;
    }
  };

  return {
    where: store.where,
    remote: store.remote,
    envelopes: async (path) => {
      const found = await attempt(path, async () => {
        const object = await store.read(path, STATEMENTS_LIMIT);
        return object && parseEnvelopes(object.bytes.toString());
      });
      return found ?? [];
    },
    use: (path, work) =>
      attempt(path, async () => {
        const object = await store.open(path);
        if (object === undefined) return undefined;
        try {
          return await work(object);
        } finally {
          object.close();
        }
      }),
    has: async (path) => (await attempt(path, () => store.stat(path))) !== undefined,
  };
}

/** What a cache is at fault for; what the own disk or the user's credentials are at fault for is not among it. */
const HARMLESS: readonly string[] = ['CACHE_UNUSABLE', 'OUTPUT_INVALID'];
