/** What programs see of their surroundings; probe.pl says how each is found out. Numbers are in seconds, or counts. */
export interface Probe {
  readonly executor: string;
  readonly cpus: number;
  readonly jobs: string;
  readonly time: number;
  readonly staticTime: number;
  readonly kernel: string;
  readonly staticKernel: string;
  /** The different addresses at which three programs had their stack. */
  readonly addresses: readonly string[];
  readonly cpuFlags: string;
  readonly inputOrder: string;
  readonly inputTimes: string;
  readonly imageOrder: string;
  readonly buildFileSystem: string;
  readonly scheduling: string;
  readonly workDir: string;
  readonly ids: string;
  readonly home: string;
  readonly hostNames: string;
  readonly locale: string;
  readonly timeZone: string;
  readonly umask: string;
  readonly environment: string;
  readonly stdin: string;
  readonly rlimits: string;
}
