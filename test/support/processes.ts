import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ids of the processes that have `marker` in an argument, wherever they come from. */
export function processesWith(marker: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false; // it has ended meanwhile
      }
    })
    .map(Number);
}

/** What a process runs: the name in /proc/<pid>/comm, empty if it has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Waits until `condition` holds; fails after half a minute, which only a machine in trouble needs. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await condition()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
  }
}

let count = 0;

/** Text that no other process on this machine has in its arguments. */
export function uniqueMarker(): string {
  count += 1;
  return `marker-${process.pid}-${Date.now()}-${count}`;
}
