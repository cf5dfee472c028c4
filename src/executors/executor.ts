import type { Writable } from 'node:stream';
import type { BuildKeyDocument, Content } from '../model/buildKey.ts';
import type { Digest } from '../model/digest.ts';
import type { LimitName, Limits } from '../model/limits.ts';
import type { Variations } from '../model/variations.ts';

/** Something that is mounted read-only: what it is, and where it lies on this machine. */
export interface MountedContent extends Content {
  /** Absolute path on this machine: a folder for a tree, a file for a file. */
  readonly path: string;
}

/** Under what a step is executed. Nothing of it may decide what comes out, so it is in no build key. */
export interface Conditions {
  /** VMBUILD_JOBS. */
  readonly cores: number;
  readonly limits: Limits;
  /** What is other than usual, on purpose. */
  readonly variations?: Variations | undefined;
}

/** One build step, ready to run: everything that it needs is on this machine. */
export interface StepRequest {
  /** For messages, container and host-side names only. */
  readonly name: string;
  readonly buildKey: Digest;
  readonly document: BuildKeyDocument;
  /** The image's unpacked root and its OCI config as JSON text, byte for byte (its sha256 is document.image). */
  readonly image: { readonly rootfs: string; readonly config: string };
  /** Folder with the declared recipe files in canonical modes; its tree digest is document.recipe. */
  readonly recipe: string;
  /** Mount name → content, as in document.inputs. */
  readonly inputs: Readonly<Record<string, MountedContent>>;
  /**
   * A private folder (0700) of this run on the store's file system. In it the names `recipe` and `log` are the caller's; the
   * executor may use it as it likes otherwise, and afterwards the build's output must stand in `<scratch>/out`. The caller
   * removes it.
   */
  readonly scratch: string;
  readonly conditions: Conditions;
  /** Takes standard output and standard error as they come. The executor respects its back-pressure and does not end it. */
  readonly output: Writable;
  /** Aborting ends the whole process tree; `run` then rejects with the signal's reason, when nothing is left behind. */
  readonly signal: AbortSignal;
}

/** How the command ended. Exactly one of the two is not null. */
export interface StepResult {
  readonly exitCode: number | null;
  /** Name of the signal that killed it, for example `SIGKILL`. */
  readonly signal: string | null;
}

/** Whether an executor works here, and if not, why and what would help. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly hints: readonly string[] };

/**
 * Whether and how an executor keeps a limit here. `exactly`: nothing gets past it. `sampled`: somebody looks five times a
 * second, and what happens between two looks can pass.
 */
export interface LimitSupport {
  readonly kept: 'exactly' | 'sampled' | 'no';
  /** How, or why not. */
  readonly how: string;
}

/** What an executor can do about each limit. */
export type LimitTable = Readonly<Record<LimitName, LimitSupport>>;

export type ExecutorName = 'namespace' | 'docker';

/** Runs build steps. Implementations never import each other and keep no state that outlives a step, except caches named by digest. */
export interface Executor {
  readonly name: ExecutorName;
  /**
   * Tries it for real, cheaply. A folder that it needs for that gets a path that begins with `scratchPrefix`, in a place where
   * what a killed process leaves is swept.
   *
   * @throws VmbuildError DISK_FULL if there is no room for that; nothing else.
   */
  probe(scratchPrefix: string): Promise<Availability>;
  /** Which limits it keeps on this machine, and how. */
  limits(): Promise<LimitTable>;
  /**
   * Runs one step to its end. A command that fails is a result, not an error.
   *
   * @throws VmbuildError EXECUTOR_FAILED if the step could not be run at all; LIMIT_* if it ran into one of its limits.
   */
  run(request: StepRequest): Promise<StepResult>;
}
