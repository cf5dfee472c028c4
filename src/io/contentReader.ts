import { Worker } from 'node:worker_threads';
import type { Digest } from '../model/digest.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import type { TreeKind } from './tree.ts';
import { MODULE_EXTENSION } from './program.ts';

/** What is to be read: a file, or a folder as a tree of a kind. */
export interface ContentJob {
  readonly kind: 'file' | TreeKind;
  readonly path: string;
}

/** What is known of a file that was read. */
export interface FileFacts {
  readonly digest: Digest;
  readonly size: number;
}

/** What reading gave. `code` is that of the system (`ENOENT`, …); undefined if the folder is no tree of its kind. */
export type ContentAnswer =
  | {
      readonly ok: true;
      readonly facts: ArtifactFacts;
      /** Paths in a tree whose modes are not canonical; the root is ''. */
      readonly wrongModes: readonly string[];
    }
  | { readonly ok: false; readonly code: string | undefined; readonly message: string };

/** Reads what lies in a store, changing nothing, in threads that are started when they are needed. */
export interface ContentReader extends AsyncDisposable {
  /** How much is read at once; more calls wait for their turn. */
  readonly threads: number;
  readonly read: (job: ContentJob) => Promise<ContentAnswer>;
}

/** Starts a reader with up to `threads` threads. */
export function openContentReader(threads: number): ContentReader {
  const file = new URL(`./contentWorker${MODULE_EXTENSION}`, import.meta.url);
  const all: Worker[] = [];
  const idle: Worker[] = [];
  const waiting: ((worker: Worker) => void)[] = [];

  const take = (): Worker | Promise<Worker> => {
    const worker = idle.pop();
    if (worker !== undefined) return worker;
    if (all.length === threads) return new Promise((resolve) => waiting.push(resolve));
    const started = new Worker(file, { execArgv: [] });
    all.push(started);
    return started;
  };
  const giveBack = (worker: Worker): void => {
    const next = waiting.shift();
    if (next === undefined) idle.push(worker);
    else next(worker);
  };
  return {
    threads,
    read: async (job) => {
      const worker = await take();
      const answer = await ask(worker, job);
      giveBack(worker);
      return answer;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((worker) => worker.terminate()));
    },
  };
}

function ask(worker: Worker, job: ContentJob): Promise<ContentAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      done();
    };
    const onMessage = (answer: ContentAnswer): void => settle(() => resolve(answer));
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (): void => settle(() => reject(new Error(`reading ${job.path} was given up`)));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(job);
  });
}
