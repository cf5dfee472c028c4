/** How long a failure counts: long enough to matter within one command, short enough for a long-running one. */
const MEMORY = 10 * 60_000;

const failures = new Map<string, number>();

/** Remembers, in this process, that a host did not answer properly; what it lacks (404) is no such failure. */
export function noteFailure(host: string): void {
  failures.set(host, performance.now());
}

/** Forgets a failure: the host has just answered. */
export function noteSuccess(host: string): void {
  failures.delete(host);
}

/** True if the host failed within the last ten minutes: it is tried after all others. */
export function failedRecently(host: string): boolean {
  const at = failures.get(host);
  return at !== undefined && performance.now() - at < MEMORY;
}
