/**
 * The closed list of error codes. Each stands in docs/errors.md with its meaning and remedy (a test
 * compares the two). A code is never reused for something else.
 */
export const ERROR_CODES = {
  USAGE: 'the command line is wrong',
  INTERNAL: 'a defect in vmbuild itself',
  INTERRUPTED: 'stopped by Ctrl-C or a signal',
  RECIPE_INVALID: 'a recipe, platform or image description is wrong',
  RECIPE_NOT_FOUND: 'no recipe has this name',
  RECIPE_CYCLE: 'recipes need each other in a circle',
  RECIPE_DUPLICATE: 'two recipes claim one name',
  BUDGET_EXCEEDED: 'the parts do not fit into the flash',
  BLOB_MISSING: 'a vendor blob is wanted that nobody has supplied',
  BLOB_REFUSED: 'a file is no vendor blob of this platform, or a damaged one',
  IMAGE_NOT_LOCKED: 'an image has no lock, or one that does not fit its image.json',
  IMAGE_MISMATCH: 'an assembled image is not the one that the lock names',
  IMAGE_ASSEMBLY: 'packages cannot be put together to an image',
  IMAGE_RESOLVE: 'the wanted packages cannot be resolved',
  SIGNATURE_INVALID: 'the signature of a package index does not verify',
  SOURCE_UNAVAILABLE: 'a source could not be fetched from any of its locations',
  SOURCE_MISMATCH: 'a source was fetched but its digest is another',
  PACKAGE_GONE: 'the mirror no longer has a pinned Debian package',
  BUILD_FAILED: 'a build step exited with an error',
  LIMIT_WALL: 'a build step ran longer than it may',
  LIMIT_SILENCE: 'a build step printed nothing for longer than it may',
  LIMIT_CPU: 'a build step used more processor time than it may',
  LIMIT_MEMORY: 'a build step needed more memory than it may',
  LIMIT_PIDS: 'a build step had more processes and threads than it may',
  LIMIT_LOG: 'a build step printed more than it may',
  LIMIT_OUTPUT: 'a build step left more in /out than it may',
  LIMIT_UNENFORCEABLE: 'a recipe requires a limit that the executor cannot keep',
  BOOT_FAILED: 'a machine did not boot as it was expected to',
  OUTPUT_INVALID: 'a build step left something in /out that cannot be an artifact',
  NOT_REPRODUCED: 'a rebuild gave other bytes than the recorded build',
  DIFFERS_ON_RECORD: 'something would be handed on of which a verification has found other bytes',
  MISMATCH: 'what others have published is not what was built here',
  NOT_REALISED: 'something that must be realised first is not',
  DIFFERENT: 'two things that were compared are not the same',
  INCONCLUSIVE: 'a verification could not tell',
  STATEMENT_CONFLICT: 'trusted builders state different artifacts for the same build',
  CLOSURE_INVALID: 'an exported closure is damaged, incomplete, or none',
  CACHE_UNUSABLE: 'a cache cannot be reached, or what it answers makes no sense',
  CACHE_DENIED: 'a cache refuses the credentials, or wants some',
  NOT_SUBSTITUTED: 'nothing may be built here, and no cache has it from builders that are trusted, or at all',
  KEY_INVALID: 'a key cannot be used',
  EXECUTOR_UNAVAILABLE: 'the chosen executor does not work on this machine',
  EXECUTOR_FAILED: 'the executor failed, not the build step',
  STORE_UNUSABLE: 'the store cannot be read or written, or is of another format',
  STORE_DAMAGED: 'something in the store is not what its name says',
  CHECK_FAILED: 'a check of the store or of a cache found something wrong',
  DISK_FULL: 'no space left',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a person needs to act on a failure; everything but the message is optional. */
export interface ErrorDetails {
  /** The step, image, source or recipe that failed. */
  readonly step?: string | undefined;
  /** What to do next: one sentence or a command, per entry. */
  readonly hints?: readonly string[] | undefined;
  /** A path or a command that shows the whole log. */
  readonly log?: string | undefined;
  /** The last lines of the log. */
  readonly excerpt?: readonly string[] | undefined;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** Every failure that vmbuild foresees. Rendering is the CLI's work; this is data. */
export class VmbuildError extends Error {
  readonly code: ErrorCode;
  readonly step: string | undefined;
  readonly hints: readonly string[];
  readonly log: string | undefined;
  readonly excerpt: readonly string[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'VmbuildError';
    this.code = code;
    this.step = details.step;
    this.hints = details.hints ?? [];
    this.log = details.log;
    this.excerpt = details.excerpt ?? [];
  }
}

/** Errors that libuv has no name for, and Node calls `Unknown system error -122` (Linux, asm-generic/errno.h). */
const UNNAMED_BY_NODE: Readonly<Record<string, string>> = { 116: 'ESTALE', 117: 'EUCLEAN', 122: 'EDQUOT' };

/** The `code` of a system error (`ENOENT`, `ENOSPC`, …), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return undefined;
  const number = /^Unknown system error -(\d+)$/.exec(code)?.[1];
  return (number && UNNAMED_BY_NODE[number]) ?? code;
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Turns what disks and their permissions refuse into errors that say what to do; passes everything else through. */
export function explainSystemError(error: unknown, what: string): unknown {
  if (error instanceof VmbuildError) return error;
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new VmbuildError('DISK_FULL', `no space left while ${what}`, {
        cause: error,
        hints: ['Free some space, or put the store elsewhere with VMBUILD_STORE=<folder>.'],
      });
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new VmbuildError('STORE_UNUSABLE', `not permitted while ${what}: ${errorMessage(error)}`, {
        cause: error,
        hints: ['Make the store writable for this user, or choose another with VMBUILD_STORE=<folder>.'],
      });
    case 'ENOENT':
      // What Node says of a recursive mkdir that the disk refused: it looks for the folder, and does not find it.
      return (error as NodeJS.ErrnoException).syscall === 'mkdir' ? diskFailed(error, what) : error;
    case 'EIO':
    case 'EUCLEAN': // how the kernel says that a file system is damaged
    case 'ESTALE':
      return diskFailed(error, what);
    default:
      return error;
  }
}

function diskFailed(error: unknown, what: string): VmbuildError {
  return new VmbuildError('STORE_UNUSABLE', `the disk failed while ${what}: ${errorMessage(error)}`, {
    cause: error,
    hints: [
      'Look at the kernel log (`dmesg`) and at the disk; `vmbuild store check` finds what is damaged in the store.',
    ],
  });
}

/** A file of the store that is there and cannot be read: what the disk or its permissions refused, or else just that. */
export function unreadable(path: string, error: unknown): VmbuildError {
  const explained = explainSystemError(error, `reading ${path}`);
  if (explained instanceof VmbuildError) return explained;
  return new VmbuildError('STORE_UNUSABLE', `${path} cannot be read: ${errorMessage(error)}`, {
    cause: error,
    hints: ['Look at what is in its place; `vmbuild store check` finds what else is wrong in the store.'],
  });
}
