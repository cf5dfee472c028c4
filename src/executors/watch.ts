import { errorMessage, VmbuildError } from '../model/errors.ts';
import { limitReached, type LimitName } from '../model/limits.ts';
import type { StepRequest } from './executor.ts';

/** What a step uses, as far as it can be told at this moment. */
export interface Usage {
  /** Seconds of processor time since it began. */
  readonly cpu?: number | undefined;
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
  /** Limits that the kernel keeps, and that the step has run into. */
  readonly reached?: readonly LimitName[];
}

/** Finds out what a step uses. */
export type Meter = () => Usage | Promise<Usage>;

/** Keeps the limits of one execution that only need somebody to look: time, output, and what a meter shows. */
export interface Watch extends Disposable {
  /** Aborts as the request's signal does, or with the error of a limit. The executor then ends the whole process tree. */
  readonly signal: AbortSignal;
  /** The command begins now. The meter is asked five times a second from now on. */
  begin(meter?: Meter): void;
  /** The step has printed so many bytes. */
  printed(bytes: number): void;
  /**
   * The command has ended. Whatever its exit code is: if it ran into a limit, that is how it ended. `final` is what it used in
   * all, where somebody else than the meter knows it.
   *
   * @throws VmbuildError LIMIT_* of the first limit that it ran into, or the reason of the request's signal.
   */
  end(final?: Usage): Promise<void>;
}

/** Milliseconds between two looks at the meter. */
const INTERVAL = 200;

/** Watches over one execution. */
export function watch(request: StepRequest): Watch {
  return new StepWatch(request);
}

class StepWatch implements Watch {
  readonly #request: StepRequest;
  readonly #controller = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #pass = (): void => this.#controller.abort(this.#request.signal.reason);
  #silence: NodeJS.Timeout | undefined;
  #bytes = 0;
  #meter: Meter | undefined;
  #ended = false;

  constructor(request: StepRequest) {
    this.#request = request;
    if (request.signal.aborted) this.#pass();
    else request.signal.addEventListener('abort', this.#pass);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  begin(meter?: Meter): void {
    const { wall, silence } = this.#request.conditions.limits;
    if (wall !== undefined) this.#after(wall, () => this.#reached('wall'));
    if (silence !== undefined) this.#silence = this.#after(silence, () => this.#reached('silence'));
    this.#meter = meter;
    if (meter !== undefined) this.#lookLater();
  }

  printed(bytes: number): void {
    this.#silence?.refresh();
    this.#bytes += bytes;
    const { log } = this.#request.conditions.limits;
    if (log !== undefined && this.#bytes > log) this.#reached('log');
  }

  async end(final: Usage = {}): Promise<void> {
    this[Symbol.dispose]();
    this.#judge(final);
    if (this.#meter !== undefined) await this.#look(this.#meter);
    this.signal.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#request.signal.removeEventListener('abort', this.#pass);
  }

  #after(seconds: number, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(act, seconds * 1000);
    this.#timers.add(timer);
    return timer;
  }

  #lookLater(): void {
    const timer = this.#after(INTERVAL / 1000, () => {
      this.#timers.delete(timer);
      void this.#look(this.#meter as Meter).then(() => {
        if (!this.#ended && !this.signal.aborted) this.#lookLater();
      });
    });
  }

  async #look(meter: Meter): Promise<void> {
    try {
      this.#judge(await meter());
    } catch (error) {
      // A limit that cannot be looked at is not kept, and nobody would know.
      this.#controller.abort(
        new VmbuildError('EXECUTOR_FAILED', `what the step uses cannot be found out: ${errorMessage(error)}`, {
          step: this.#request.name,
          cause: error,
        }),
      );
    }
  }

  #judge(usage: Usage): void {
    for (const name of usage.reached ?? []) this.#reached(name);
    for (const name of ['cpu', 'memory', 'pids'] as const) {
      const limit = this.#request.conditions.limits[name];
      const used = usage[name];
      if (limit !== undefined && used !== undefined && used > limit) this.#reached(name, used);
    }
  }

  #reached(name: LimitName, used?: number): void {
    const limit = this.#request.conditions.limits[name] ?? 0;
    this.#controller.abort(limitReached(this.#request.name, name, limit, used));
  }
}
