import { errorMessage } from '../model/errors.ts';
import type { Emit, TransferKind } from './events.ts';

/** Does work that is worth a line of its own in the progress. */
export async function transfer<T>(
  { emit }: { readonly emit: Emit },
  what: TransferKind,
  name: string,
  digest: string,
  work: (progress: (done: number, total: number | undefined) => void) => Promise<T>,
): Promise<T> {
  const start = performance.now();
  emit({ type: 'transfer-started', what, name, digest });
  try {
    const result = await work((done, total) => emit({ type: 'transfer-progress', what, name, digest, done, total }));
    emit({ type: 'transfer-finished', what, name, digest, durationMs: performance.now() - start });
    return result;
  } catch (error) {
    emit({ type: 'transfer-failed', what, name, digest, message: errorMessage(error) });
    throw error;
  }
}
