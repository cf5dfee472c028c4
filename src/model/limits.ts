/**
 * What one execution of a step may use up; what is not there is not limited. Limits are no part of what a step is:
 * neither derivation nor build key knows them.
 */
export interface Limits {
  /** Seconds from the start of the command to its end. */
  readonly wall?: number;
  /** Seconds without a byte on standard output or standard error. */
  readonly silence?: number;
  /** Seconds of processor time of all its processes together. */
  readonly cpu?: number;
  /** Bytes of memory of all its processes together, with what it keeps in file systems in memory. */
  readonly memory?: number;
  /** Processes and threads at once. */
  readonly pids?: number;
  /** Bytes on standard output and standard error. */
  readonly log?: number;
  /** Bytes of the files in /out, as their sizes say, holes included. */
  readonly output?: number;
}
