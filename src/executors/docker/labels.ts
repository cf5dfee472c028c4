import { readFileSync, readlinkSync } from 'node:fs';
import { systemErrorCode } from '../../model/errors.ts';

/** Labels on everything that vmbuild makes in a daemon. */
export const LABELS = {
  /** The vmbuild process that made it, as `ownRun()` writes it. Not on finished content, which outlives its maker. */
  run: 'vmbuild.run',
  /** Name of the step. */
  step: 'vmbuild.step',
  /** On anonymous volumes: name of the container that they were made for. */
  container: 'vmbuild.container',
  /** `tree:<digest>` or `file:<digest>`: what a volume is filled with. */
  content: 'vmbuild.content',
  /** On the record of a content: the name of the volume that holds all of it. */
  volume: 'vmbuild.volume',
} as const;

/**
 * A process, such that nothing else is ever mistaken for it: `<boot id>/<pid namespace>/<pid>/<start time>`. The boot
 * id tells machines and boots apart, and the pid namespace tells containers apart that share one kernel and daemon.
 */
export function ownRun(): string {
  return `${scope()}/${process.pid}/${startTime(process.pid)}`;
}

/**
 * True only if the process is known to be gone: it belonged to this boot and pid namespace, and is not there now.
 * Of processes elsewhere nothing is known, so they are taken to be alive.
 */
export function isGone(run: string): boolean {
  const end = run.lastIndexOf('/', run.lastIndexOf('/') - 1);
  if (end < 0 || run.slice(0, end) !== scope()) return false;
  const [pid, start] = run.slice(end + 1).split('/');
  return /^[0-9]+$/.test(pid ?? '') && startTime(Number(pid)) !== start;
}

function scope(): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const namespace = /[0-9]+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  return `${bootId}/${namespace}`;
}

/** Field 22 of /proc/<pid>/stat (proc(5)), in clock ticks since boot; undefined if there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may hold anything: count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}
