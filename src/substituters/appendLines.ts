import { type Envelope, formatEnvelopes, parseEnvelopes } from '../model/envelope.ts';
import { VmbuildError } from '../model/errors.ts';
import { REFRESH_MS, STATEMENTS_LIMIT } from './layout.ts';
import type { ObjectStore } from './objectStore.ts';

/** Rounds with others who write the same file at the same time. */
const ROUNDS = 10;

/**
 * Changes a file of statements whoever else may be writing it: it is read, changed, and written if it is still the one
 * that was read.
 *
 * @param change gives the new envelopes, or undefined if they are right as they are.
 * @throws VmbuildError CACHE_UNUSABLE if others are faster every time.
 */
export async function changeEnvelopes(
  store: ObjectStore,
  path: string,
  change: (before: readonly Envelope[]) => readonly Envelope[] | undefined,
): Promise<void> {
  await changeObject(store, path, (text) => {
    const after = change(parseLines(store, path, text));
    return after && formatEnvelopes(after);
  });
}

/** The same for any small file. */
export async function changeObject(
  store: ObjectStore,
  path: string,
  change: (before: string) => string | undefined,
): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const object = await store.read(path, STATEMENTS_LIMIT);
    let after = change(object?.bytes.toString() ?? '');
    if (after === undefined) {
      if (object === undefined || !(await isOld(store, path))) return;
      after = object.bytes.toString();
    }
    if (await store.replace(path, Buffer.from(after), object?.version)) return;
  }
  throw new VmbuildError('CACHE_UNUSABLE', `${store.where}: others write ${path} all the time`);
}

/** What is right as it is, and was written long ago, is written again: a collection of the cache may be about to take it. */
async function isOld(store: ObjectStore, path: string): Promise<boolean> {
  const writtenAt = (await store.stat(path))?.writtenAt;
  return writtenAt !== undefined && Date.now() - writtenAt > REFRESH_MS;
}

/** Nobody's lines are thrown away because they cannot be read. */
function parseLines(store: ObjectStore, path: string, text: string): readonly Envelope[] {
  try {
    return parseEnvelopes(text);
  } catch (error) {
    throw new VmbuildError('CACHE_UNUSABLE', `${store.where}: ${path} is damaged: ${String(error)}`, {
      hints: ['Remove that object; the next push writes it anew.'],
    });
  }
}
