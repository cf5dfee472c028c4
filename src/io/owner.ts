import { readFileSync } from 'node:fs';

/**
 * Marks things on disk with the process that owns them, so that others can tell whether it is still alive:
 * `<boot>.<pid>.<start time>.`. A pid alone is reused sooner or later, and means nothing after a reboot.
 */
export function ownerPrefix(): string {
  return `${bootId()}.${process.pid}.${startTime(process.pid)}.`;
}

/** True unless the process that marked `name` has certainly ended. */
export function isOwnerAlive(name: string): boolean {
  const match = /^([0-9a-f]{8})\.(\d+)\.(\d+)\./.exec(name);
  if (match === null) return false;
  const [, boot, pid, start] = match;
  return boot === bootId() && startTime(Number(pid)) === start;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
}

/** Field 22 of /proc/<pid>/stat (proc(5)): ticks between boot and the start of the process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field may hold spaces and parentheses; what follows its last ")" is regular.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
