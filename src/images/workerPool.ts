import { parentPort, Worker } from 'node:worker_threads';
import { MODULE_EXTENSION } from '../io/program.ts';
import { type ErrorCode, systemErrorCode, VmbuildError } from '../model/errors.ts';

/** What a worker thread sends back: errors lose their class and their fields on the way, so they go in parts. */
type Answer =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly error: unknown;
      /** `code` of the error: one of vmbuild's if there are hints, else one of the system (`ENOSPC`, …). */
      readonly code?: string | undefined;
      readonly hints?: readonly string[] | undefined;
    };

/** In a worker: runs `work` and posts its result or its error. */
export async function answer(work: () => unknown): Promise<void> {
  let message: Answer;
  try {
    message = { ok: true, value: await work() };
  } catch (error) {
    const hints = error instanceof VmbuildError ? error.hints : undefined;
    message = { ok: false, error, code: systemErrorCode(error), hints };
  }
  parentPort?.postMessage(message);
}

/**
 * Runs jobs in `size` threads of one worker file and returns their results in the order of the jobs.
 * The first failure, or the signal, ends all of them.
 *
 * @param worker name of the worker's file beside this one, without extension.
 */
export async function runInWorkers<Job, Result>(
  worker: string,
  jobs: readonly Job[],
  options: {
    readonly size: number;
    readonly signal?: AbortSignal | undefined;
    readonly onDone?: ((done: number) => void) | undefined;
  },
): Promise<Result[]> {
  const { signal } = options;
  signal?.throwIfAborted();
  const file = new URL(`./${worker}${MODULE_EXTENSION}`, import.meta.url);
  const results = Array.from<Result>({ length: jobs.length });
  let next = 0;
  let done = 0;
  const threads: Worker[] = [];
  const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
  const onAbort = (): void => abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const serve = async (thread: Worker): Promise<void> => {
    for (let index = next++; index < jobs.length; index = next++) {
      results[index] = (await ask(thread, jobs[index])) as Result;
      done += 1;
      options.onDone?.(done);
    }
  };
  try {
    for (let i = 0; i < Math.min(options.size, jobs.length); i += 1) threads.push(new Worker(file));
    await Promise.race([Promise.all(threads.map(serve)), aborted]);
    return results;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

function ask(thread: Worker, job: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: Answer): void => {
      finish();
      if (message.ok) resolve(message.value);
      else reject(restore(message));
    };
    const onError = (error: unknown): void => {
      finish();
      reject(error);
    };
    const onExit = (code: number): void => {
      finish();
      reject(new VmbuildError('INTERNAL', `a worker thread ended with ${code} before its job was done`));
    };
    const finish = (): void => {
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.postMessage(job);
  });
}

function restore({ error, code, hints }: Answer & { readonly ok: false }): unknown {
  if (hints === undefined) return code === undefined ? error : Object.assign(error as Error, { code });
  const { message, cause } = error as Error;
  return new VmbuildError(code as ErrorCode, message, { cause, hints });
}
