import type { Digest } from '../model/digest.ts';
import type { LimitName } from '../model/limits.ts';
import type { ErrorCode } from '../model/errors.ts';

/** How a step got its artifact. */
export type How =
  | 'built'
  | 'rebuilt'
  | 'reused'
  /** Its artifact came from a cache. */
  | 'fetched'
  /** It is known what it gives, and nothing needs its artifact here. */
  | 'skipped';

/** Everything that happens during a realisation, in its order. Renderers and --json know nothing else. */
export type BuildEvent =
  | { readonly type: 'planned'; readonly steps: readonly { readonly target: string; readonly decision: Decision }[] }
  | { readonly type: 'executor-chosen'; readonly executor: string; readonly reason: string }
  /** Asked for on the command line; the executor cannot keep it, and says why. Once for each limit. */
  | { readonly type: 'limit-not-kept'; readonly limit: LimitName; readonly executor: string; readonly reason: string }
  | { readonly type: 'step-queued'; readonly target: string }
  | { readonly type: 'step-waiting'; readonly target: string; readonly reason: string }
  | { readonly type: 'step-started'; readonly target: string; readonly buildKey: Digest; readonly executor: string }
  | { readonly type: 'step-output'; readonly target: string; readonly text: string }
  | {
      readonly type: 'step-finished';
      readonly target: string;
      readonly how: How;
      readonly buildKey: Digest;
      readonly artifact: Digest;
      /** Of this execution; for `reused`, of the one that made the artifact. */
      readonly durationMs: number;
    }
  /** A verification of this build key has found other bytes; `vmbuild verify` finds out more. */
  | {
      readonly type: 'step-not-reproducible';
      readonly target: string;
      readonly at: string;
      /** Whose verification it was, if it was not one on this machine. */
      readonly by: string | undefined;
    }
  | { readonly type: 'step-failed'; readonly target: string; readonly code: ErrorCode; readonly message: string }
  /** Another vmbuild is at it. */
  | { readonly type: 'transfer-waiting'; readonly what: TransferKind; readonly name: string }
  /** `digest` tells transfers apart; it is empty for an image that is being locked. */
  | { readonly type: 'transfer-started'; readonly what: TransferKind; readonly name: string; readonly digest: string }
  | {
      readonly type: 'transfer-progress';
      readonly what: TransferKind;
      readonly name: string;
      readonly digest: string;
      /** Bytes for a source, packages for an image. */
      readonly done: number;
      readonly total: number | undefined;
    }
  /** A cache is of no more use in this run. */
  | { readonly type: 'cache-dropped'; readonly message: string }
  | { readonly type: 'transfer-retried'; readonly name: string; readonly message: string }
  | {
      readonly type: 'transfer-finished';
      readonly what: TransferKind;
      readonly name: string;
      readonly digest: string;
      readonly durationMs: number;
    }
  /** Also if it was stopped, because nobody needs it any more. */
  | {
      readonly type: 'transfer-failed';
      readonly what: TransferKind;
      readonly name: string;
      readonly digest: string;
      readonly message: string;
    };

/** A source or an artifact that is fetched, or an image that is assembled. */
export type TransferKind = 'source' | 'image' | 'artifact';

/**
 * `reuse`: the store has it. `fetch`: it is known what it gives, and a cache may have that. `skip`: that is known, and its
 * artifact is not needed. `build`: none of these. `depends`: known once the inputs are built (early cutoff).
 */
export type Decision = 'reuse' | 'fetch' | 'skip' | 'build' | 'depends';

/** Takes events as they happen. */
export type Emit = (event: BuildEvent) => void;
