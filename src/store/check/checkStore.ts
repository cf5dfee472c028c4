import { availableParallelism } from 'node:os';
import { openContentReader } from '../../io/contentReader.ts';
import type { Store } from '../openStore.ts';
import { checkBlobs } from './checkBlobs.ts';
import type { Check, CheckOptions, CheckSummary } from './check.ts';
import { checkContents, type ContentFolder } from './checkContents.ts';
import { checkFolders } from './checkFolders.ts';
import { checkRecords } from './checkRecords.ts';

/**
 * Reads everything in a store and tells what is not as it should be. Changes nothing and takes no lock, so it may run
 * on a read-only store and beside builds: what they are making appears under its name only when it is whole.
 *
 * @throws the signal's reason when it is stopped; STORE_UNUSABLE if the store's folders cannot be listed.
 */
export async function checkStore(store: Store, options: CheckOptions): Promise<CheckSummary> {
  await using reader = openContentReader(options.threads ?? Math.min(availableParallelism(), 4));
  const check: Check = { ...options, store, reader };
  await checkFolders(check);
  const { counts, producers } = await checkRecords(check);
  const blobs = await checkBlobs(check);
  const contents = await checkContents(check, producers);
  const count = (folder: ContentFolder): number => contents.counts[folder];
  return {
    ...counts,
    artifacts: count('artifacts'),
    sources: count('sources'),
    images: count('images'),
    blobs,
    bytes: contents.bytes,
  };
}
