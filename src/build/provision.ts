import PQueue from 'p-queue';
import type { FetchSettings } from '../fetchers/fetcher.ts';
import { temporaryFolder } from '../io/files.ts';
import { acquireLock } from '../io/lock.ts';
import type { Digest } from '../model/digest.ts';
import { explainSystemError, VmbuildError } from '../model/errors.ts';
import type { Source } from '../model/source.ts';
import { claimImage, findImage, type StoredImage } from '../store/images.ts';
import { claimBlob } from '../store/blobs.ts';
import { type Store, scratchPrefix } from '../store/openStore.ts';
import { adoptSource, claimSource, findSource } from '../store/sources.ts';
import type { Substituter } from '../substituters/substituter.ts';
import { cachedSource } from './cachedSource.ts';
import type { LockedImage } from './evaluate.ts';
import type { Emit } from './events.ts';
import { transfer } from './transfer.ts';

/** Downloads at once; more only makes each of them slower. */
const DOWNLOADS = 4;

/** What getting sources and images needs. */
export interface ProvisionOptions {
  readonly store: Store;
  readonly fetch: FetchSettings;
  /** Asked for sources before their own locations. */
  readonly caches?: readonly Substituter[] | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/**
 * Gets sources and images into the store, each once however many steps ask for it. Disposing of it ends what was asked
 * for ahead of time and nobody needs any more, and waits until that is cleaned up.
 */
export interface Provisioner extends AsyncDisposable {
  /** Path of a source in the store. */
  readonly source: (source: Source) => Promise<string>;
  /** The same for one of the many packages or layers of an image, whose progress is the image's. */
  readonly package: (deb: Source) => Promise<string>;
  readonly image: (image: LockedImage) => Promise<StoredImage>;
}

/** Makes a provisioner for one realisation. */
export function createProvisioner(given: ProvisionOptions): Provisioner {
  const end = new AbortController();
  const signal = AbortSignal.any([given.signal, end.signal]);
  const options = { ...given, signal };
  const { store } = options;
  const downloads = new PQueue({ concurrency: DOWNLOADS });
  const sources = new Map<Digest, Promise<string>>();
  const images = new Map<Digest, Promise<StoredImage>>();

  const getSource = async (source: Source, quiet: boolean): Promise<string> => {
    if (source.blob !== undefined) return boundBlob(store, source, source.blob);
    const present = await claimSource(store, source);
    if (present !== undefined) return present;
    // Loaded when something is missing: most runs find everything in the store, and start faster without.
    const { needsGoProxy, withGoProxy } = await import('./goDefault.ts');
    // Outside of the queue of downloads: this may wait for one of them.
    const fetch = needsGoProxy(source) ? await withGoProxy(options.fetch, getPackage) : options.fetch;
    return downloads.add(() => {
      // Asked here, because a queue that knows the signal gives up downloads that are still being cleaned up.
      signal.throwIfAborted();
      return download(source, { ...options, fetch }, quiet);
    });
  };
  const once = <T>(memo: Map<Digest, Promise<T>>, digest: Digest, make: () => Promise<T>): Promise<T> => {
    let promise = memo.get(digest);
    if (promise === undefined) {
      promise = make();
      // Asked for ahead of time, nobody may be waiting yet when it fails.
      promise.catch(() => {});
      memo.set(digest, promise);
    }
    return promise;
  };

  const getPackage = (deb: Source): Promise<string> => once(sources, deb.digest, () => getSource(deb, true));

  return {
    source: (source) => once(sources, source.digest, () => getSource(source, false)),
    package: getPackage,
    image: (image) =>
      once(images, image.digest, async () => {
        const present = await claimImage(store, image.digest);
        if (present !== undefined) return present;
        await using _lock = await acquireLock(store.layout.lock('image', image.digest), {
          signal,
          onWait: () => options.emit({ type: 'transfer-waiting', what: 'image', name: image.name }),
        });
        const meanwhile = await findImage(store, image.digest);
        if (meanwhile !== undefined) return meanwhile;
        const { assembleLockedImage } = await import('./assembleLockedImage.ts');
        return await transfer(options, 'image', image.name, image.digest, (progress) =>
          assembleLockedImage(image, {
            store,
            signal,
            progress,
            part: getPackage,
          }),
        );
      }),
    [Symbol.asyncDispose]: async () => {
      end.abort();
      await Promise.allSettled([...sources.values(), ...images.values()]);
    },
  };
}

/** There is nowhere else to get it from. */
async function boundBlob(
  store: Store,
  { name, digest }: Source,
  { platform, slot }: NonNullable<Source['blob']>,
): Promise<string> {
  const path = await claimBlob(store, digest);
  if (path !== undefined) return path;
  throw new VmbuildError(
    'BLOB_MISSING',
    `${name} is bound to the slot ${slot} of ${platform}, but gone from the store`,
    {
      hints: [`Add the file again that it was taken from: vmbuild blob add ${platform} <file>`],
    },
  );
}

async function download(source: Source, options: ProvisionOptions, quiet: boolean): Promise<string> {
  const { store, signal, emit } = options;
  await using _lock = await acquireLock(store.layout.lock('source', source.digest), {
    signal,
    ...(quiet ? {} : { onWait: () => emit({ type: 'transfer-waiting', what: 'source', name: source.name }) }),
  });
  const meanwhile = await findSource(store, source);
  if (meanwhile !== undefined) return meanwhile;
  const { fetchSource } = await import('../fetchers/fetchSource.ts');
  const get = async (progress: (done: number, total: number | undefined) => void): Promise<string> => {
    await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
    try {
      const path = await fetchSource(source, {
        settings: options.fetch,
        caches: (wanted) => cachedSource(wanted, options.caches ?? [], options),
        scratch: scratch.path,
        signal,
        onProgress: progress,
        onRetry: (message) => emit({ type: 'transfer-retried', name: source.name, message }),
      });
      return await adoptSource(store, source, path);
    } catch (error) {
      throw explainSystemError(error, `fetching ${source.name}`);
    }
  };
  if (quiet) return await get(() => {});
  return await transfer(options, 'source', source.name, source.digest, get);
}
