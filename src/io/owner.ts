import { readFileSync, readlinkSync } from 'node:fs';

/**
 * Marks things on disk with the process that owns them, so that others can tell whether it is still alive:
 * `<boot>.<pid>.<start time>.<pid namespace>.`. A pid alone is reused sooner or later, means nothing after a reboot,
 * and in another container belongs to somebody else.
 */
export function ownerPrefix(): string {
  return (prefix ??= `${bootId()}.${process.pid}.${startTime(process.pid)}.${pidNamespace()}.`);
}

let prefix: string | undefined;

/** What is known of the process that marked something. `elsewhere`: of another pid namespace, about which nothing is known. */
export type OwnerState = 'alive' | 'ended' | 'before-boot' | 'elsewhere' | 'unmarked';

/** Finds out about the process that marked `name`, which begins with its ownerPrefix(). */
export function ownerState(name: string): OwnerState {
  const match = /^([0-9a-f]{8})\.(\d+)\.(\d+)\.(?:(\d+)\.)?/.exec(name);
  if (match === null) return 'unmarked';
  const [, boot, pid, start, namespace] = match;
  if (boot !== bootId()) return 'before-boot';
  if (namespace !== undefined && namespace !== pidNamespace()) return 'elsewhere';
  return startTime(Number(pid)) === start ? 'alive' : 'ended';
}

/** True unless the process that marked `name` has certainly ended; so for names without a mark, too. */
export function isOwnerAlive(name: string): boolean {
  const state = ownerState(name);
  return state !== 'ended' && state !== 'before-boot';
}

function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
}

/**
 * Field 22 of /proc/<pid>/stat (proc(5)): ticks between boot and the start of the process. Undefined if there is none,
 * or only what is left of it until its parent asks how it ended.
 */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field may hold spaces and parentheses; what follows its last ")" is regular.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
