import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where control groups for memory are made: version 1, or 2 if that controller is on. */
const MOUNTS = [
  { folder: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { folder: '/sys/fs/cgroup', limit: 'memory.max' },
];

let made = 0;

/** A control group whose processes may take so much memory together; then the kernel kills one of them. */
export class MemoryGroup {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined if this user, or this machine, cannot have one. */
  static make(bytes: number): MemoryGroup | undefined {
    for (const { folder, limit } of MOUNTS) {
      made += 1;
      const path = join(folder, `faults-${process.pid}-${made}`);
      try {
        mkdirSync(path);
      } catch {
        continue;
      }
      const group = new MemoryGroup(path);
      // Writing to a file of this name that is not there would be refused, too.
      if (existsSync(join(path, limit))) {
        writeFileSync(join(path, limit), String(bytes));
        return group;
      }
      group.remove();
    }
    return undefined;
  }

  /** The command that runs the command which follows it in here. */
  get enter(): readonly string[] {
    return ['sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', this.#folder];
  }

  /** Fails as long as a process is in it. */
  remove(): true {
    rmdirSync(this.#folder);
    return true;
  }
}
