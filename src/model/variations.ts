/**
 * What `vmbuild verify` changes around a step on purpose. None of it is in a build key, and none of it may show in what
 * the step makes. What is absent is as docs/sandbox.md says.
 */
export interface Variations {
  /** Bits of personality(2): ADDR_NO_RANDOMIZE, UNAME26. */
  readonly personality?: number;
  /** Numbers of the processors that the step may use. */
  readonly cpus?: readonly number[];
  /** Scheduled as a batch job (SCHED_BATCH) of lower priority. */
  readonly batch?: boolean;
  readonly ids?: { readonly uid: number; readonly gid: number };
  readonly hostname?: string;
  readonly domainname?: string;
  /** Instead of /build: an absolute path below it, which is made. */
  readonly workDir?: string;
  /** The whole of /build is a tmpfs, and not a folder on disk. */
  readonly buildInMemory?: boolean;
  readonly umask?: number;
  /** Standard input is a pipe that nobody writes to any more, and not /dev/null. */
  readonly pipedInput?: boolean;
  /** Instead of those of the sandbox; descriptors, and bytes. */
  readonly rlimits?: { readonly nofile?: number; readonly stack?: number };
  /** Added to the environment, or instead of what is there. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Files of this machine that are mounted read-only below /dev: name there → path. */
  readonly files?: Readonly<Record<string, string>>;
  /** A file of this machine that stands at /proc/cpuinfo. */
  readonly cpuinfo?: string;
  /** The inputs are copies that lie in this folder of this machine, to which an executor may write. */
  readonly copiesIn?: string;
}

/** ADDR_NO_RANDOMIZE of <linux/personality.h>: no address space layout randomisation. */
export const ADDR_NO_RANDOMIZE = 0x40000;

/** UNAME26 of <linux/personality.h>: uname(2) tells of a kernel 2.6.<40 + minor version>. */
export const UNAME26 = 0x20000;
