import { type ErrorCode, VmbuildError } from '../model/errors.ts';

/** Exit codes by error code; docs/errors.md documents them. 1 is everything unforeseen. */
const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  INTERNAL: 1,
  USAGE: 2,
  RECIPE_INVALID: 2,
  RECIPE_NOT_FOUND: 2,
  RECIPE_CYCLE: 2,
  RECIPE_DUPLICATE: 2,
  BUILD_FAILED: 3,
  BOOT_FAILED: 3,
  OUTPUT_INVALID: 3,
  LIMIT_WALL: 3,
  LIMIT_SILENCE: 3,
  LIMIT_CPU: 3,
  LIMIT_MEMORY: 3,
  LIMIT_PIDS: 3,
  LIMIT_LOG: 3,
  LIMIT_OUTPUT: 3,
  BUDGET_EXCEEDED: 3,
  BLOB_REFUSED: 2,
  BLOB_MISSING: 4,
  IMAGE_NOT_LOCKED: 4,
  IMAGE_MISMATCH: 4,
  IMAGE_RESOLVE: 4,
  IMAGE_ASSEMBLY: 4,
  SIGNATURE_INVALID: 4,
  SOURCE_UNAVAILABLE: 4,
  SOURCE_MISMATCH: 4,
  PACKAGE_GONE: 4,
  CACHE_UNUSABLE: 4,
  CACHE_DENIED: 4,
  NOT_SUBSTITUTED: 4,
  KEY_INVALID: 2,
  NOT_REPRODUCED: 5,
  DIFFERENT: 5,
  NOT_REALISED: 4,
  INCONCLUSIVE: 11,
  STATEMENT_CONFLICT: 5,
  EXECUTOR_UNAVAILABLE: 6,
  EXECUTOR_FAILED: 6,
  LIMIT_UNENFORCEABLE: 6,
  STORE_UNUSABLE: 7,
  STORE_DAMAGED: 7,
  DISK_FULL: 7,
  CHECK_FAILED: 8,
  INTERRUPTED: 130,
};

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  return error instanceof VmbuildError ? EXIT_CODES[error.code] : 1;
}
