import type { LimitTable, StepResult } from '../../../src/executors/executor.ts';
import type { Limits } from '../../../src/model/limits.ts';

/** A step that the runner is to run. */
export interface Question {
  readonly id: number;
  /** Empty: nothing is run, and the answer is which limits are kept. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly inputs?: Readonly<Record<string, { readonly kind: 'tree' | 'file'; readonly path: string }>>;
  /** Not in a sandbox but as a child process of the runner: what a step could do if there were none. */
  readonly outside?: boolean;
  /** What it left is taken into a store of the runner's own. */
  readonly adopt?: boolean;
  /** Says so as soon as the step has printed this. */
  readonly announce?: string;
  /** 0: before the executor has begun. */
  readonly abortAfterMs?: number;
  /** As soon as the step has printed this. */
  readonly abortOnOutput?: string;
  readonly limits?: Limits;
  /** Every write of the log fails, as on a full disk. */
  readonly brokenOutput?: boolean;
  /** Every write of the log takes this long. */
  readonly slowOutputMs?: number;
}

/** How it ended. */
export interface Answer {
  readonly result?: StepResult;
  readonly error?: { readonly code: string; readonly message: string };
  readonly table?: LimitTable;
  readonly output: string;
  /** Digest of what it left, if that was to be adopted. */
  readonly artifact?: string;
  /** Names in /out. */
  readonly out: readonly string[];
}
