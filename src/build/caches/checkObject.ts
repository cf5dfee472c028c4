import { open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Digest, sha256Stream } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { ObjectStore, OpenObject } from '../../substituters/objectStore.ts';
import { checkArchive, wrongContent } from '../unpackArchive.ts';

/** The most bytes of something whose size nobody has stated. */
const MAX_SIZE = 64 * 1024 ** 3;

/** How an object is checked. */
interface ObjectOptions {
  readonly signal: AbortSignal;
  /** Bytes that an archive may unpack to, if somebody has stated them. */
  readonly limit?: number | undefined;
  /** A file that does not exist yet, to which the object is copied as it is. */
  readonly copyTo?: string | undefined;
}

/** An object that is what its name says. */
interface Checked {
  /** Bytes of the object, and their sha256. */
  readonly size: number;
  readonly sha256: Digest;
}

/**
 * Reads an object of a cache to its end, and compares it with its name; undefined if there is none.
 *
 * @throws VmbuildError CACHE_UNUSABLE if it is another.
 */
export async function checkObject(
  cache: ObjectStore,
  path: string,
  options: ObjectOptions,
): Promise<Checked | undefined> {
  const { signal, limit = MAX_SIZE } = options;
  const object = await cache.open(path);
  if (object === undefined) return undefined;
  await using ends = new AsyncDisposableStack();
  ends.defer(() => object.close());
  const hash = sha256Stream();
  let size = 0;
  const copy = options.copyTo === undefined ? undefined : ends.use(await open(options.copyTo, 'wx'));
  const seen = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of object.body) {
      hash.update(chunk);
      size += chunk.length;
      if (size > MAX_SIZE) throw wrongContent(`more than ${MAX_SIZE} bytes`);
      await copy?.appendFile(chunk);
      yield chunk;
    }
  };
  const expected = /([0-9a-f]{64})/.exec(path)?.[1];
  const found = path.startsWith('sources/')
    ? await drain(seen(), signal)
    : await unpacked({ ...object, body: seen() }, limit, signal);
  const sha256 = hash.digest();
  if ((found ?? sha256) !== expected) throw wrongContent(`its digest is ${found ?? sha256}`);
  return { size, sha256 };
}

async function drain(body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<undefined> {
  await pipeline(body, new Writable({ write: (_chunk, _encoding, done) => done() }), { signal });
}

async function unpacked(object: OpenObject, limit: number, signal: AbortSignal): Promise<Digest> {
  const { digest } = await checkArchive(object, { limit, signal });
  return digest;
}

/** True for what says that content is not what it should be, and not that somebody could not be reached. */
export function isWrongContent(error: unknown): error is Error {
  return error instanceof TypeError || (error instanceof VmbuildError && error.code === 'CACHE_UNUSABLE');
}
