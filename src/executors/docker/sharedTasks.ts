interface Task<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Work that several steps need and that is done once: loading an image, filling a volume. Results are kept, failures
 * are not. A step that is aborted stops waiting; when nobody waits any more the work itself is aborted, and the last
 * one to leave does so only when the work has cleaned up behind itself.
 */
export class SharedTasks<T> {
  readonly #tasks = new Map<string, Task<T>>();

  /** Runs `work` for this key unless it is done or under way. Rejects with the signal's reason if that comes first. */
  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const task = this.#tasks.get(key) ?? this.#start(key, work);
    task.waiting += 1;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([task.result, aborted.promise]);
    } catch (error) {
      if (signal.aborted && task.waiting === 1) {
        this.#remove(key, task);
        task.controller.abort(signal.reason);
        await task.result.catch(() => {});
      }
      throw error;
    } finally {
      task.waiting -= 1;
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Forgets a result that turned out to be no longer true. */
  forget(key: string): void {
    this.#tasks.delete(key);
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Task<T> {
    const controller = new AbortController();
    const task: Task<T> = { result: work(controller.signal), controller, waiting: 0 };
    this.#tasks.set(key, task);
    task.result.catch(() => this.#remove(key, task));
    return task;
  }

  #remove(key: string, task: Task<T>): void {
    if (this.#tasks.get(key) === task) this.#tasks.delete(key);
  }
}
