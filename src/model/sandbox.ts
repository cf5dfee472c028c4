import type { BuildKeyDocument } from './buildKey.ts';
import type { Variations } from './variations.ts';

/**
 * Sandbox version 1: the fixed part of what a build step sees. Executors and the image assembler take
 * it from here, so that they cannot drift apart. docs/sandbox.md is the prose; changing a value that a
 * build can observe means a new SANDBOX_VERSION.
 */
export const SANDBOX = {
  uid: 1000,
  gid: 100,
  hostname: 'vmbuild',
  /** The working directory and HOME. Writable, empty, on disk. */
  workDir: '/build',
  outDir: '/out',
  recipeDir: '/recipe',
  inputDir: '/in',
  umask: 0o022,
  path: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  /** Soft and hard limits alike. nofile: descriptors; core and stack: bytes. */
  rlimits: { nofile: 4096, core: 0, stack: 8 * 1024 * 1024 },
  /** Size of the tmpfs at /dev/shm, bytes. */
  shmSize: 64 * 1024 * 1024,
  /** Device nodes below /dev that every executor provides. */
  devices: ['null', 'zero', 'full', 'random', 'urandom'],
  /**
   * What is empty below /proc, where the kernel has it: what it tells of the whole machine and a step has no business
   * with. Docker hides the first nine by default; the others are only for root, which a step of root is to them.
   */
  // prettier-ignore
  hiddenInProc: [
    'acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi', 'timer_list', 'timer_stats',
    'kpagecgroup', 'kpagecount', 'kpageflags', 'pagetypeinfo', 'slabinfo', 'vmallocinfo',
  ],
  /** Directories that an image must have, because nothing can be made in a read-only root. */
  mountPoints: ['build', 'dev', 'in', 'out', 'proc', 'recipe', 'sys', 'tmp'],
  /** Those of them (and of other directories) that are world-writable with the sticky bit, mode 1777. */
  stickyDirectories: ['build', 'out', 'tmp', 'var/tmp'],
} as const;

/** Variables that the sandbox sets itself; a recipe that declares one is refused. */
export const RESERVED_VARIABLES: readonly string[] = [
  'PATH',
  'HOME',
  'TZ',
  'LC_ALL',
  'SOURCE_DATE_EPOCH',
  'VMBUILD_JOBS',
];

/**
 * The whole environment of a step, sorted by name. `cores` becomes VMBUILD_JOBS, the only variable
 * that is not in the build key: a recipe may use it for speed and must not let it into its output.
 */
export function stepEnvironment(
  document: BuildKeyDocument,
  { cores, variations }: { readonly cores: number; readonly variations?: Variations | undefined },
): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {
    ...document.env,
    PATH: SANDBOX.path,
    HOME: SANDBOX.workDir,
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
    SOURCE_DATE_EPOCH: String(document.sourceDateEpoch),
    VMBUILD_JOBS: String(cores),
    ...variations?.environment,
  };
  return Object.fromEntries(Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1)));
}
