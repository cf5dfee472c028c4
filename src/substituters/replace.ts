import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../model/digest.ts';
import { STATEMENTS_LIMIT } from './layout.ts';
import type { ObjectStore } from './objectStore.ts';

/** Milliseconds in which somebody else who writes the same object at the same time shows, and as many again at random. */
const OTHERS_MS = 30;

type ReadAndPut = Pick<ObjectStore, 'read' | 'put'>;

/**
 * Replaces an object where the server knows no conditions: it is looked at just before and a moment after. Two writers can
 * still miss one another if both write between the other's looks; what is lost then is a statement, which the next push of
 * its signer adds again, and never a part of one.
 */
export async function replaceUnconditionally(
  store: ReadAndPut,
  path: string,
  bytes: Uint8Array,
  version: string | undefined,
): Promise<boolean> {
  if ((await store.read(path, STATEMENTS_LIMIT))?.version !== version) return false;
  await store.put(path, { size: bytes.length, sha256: sha256(bytes), open: () => [bytes] });
  return wasReplaced(store, path, bytes);
}

/** Whether an object that was written is still that a moment later. */
export async function wasReplaced(store: ReadAndPut, path: string, bytes: Uint8Array): Promise<boolean> {
  await sleep(OTHERS_MS * (1 + Math.random()));
  return (await store.read(path, STATEMENTS_LIMIT))?.bytes.equals(bytes) === true;
}
