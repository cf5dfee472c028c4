import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutorName } from '../../executors/executor.ts';
import { removeTree } from '../../io/files.ts';
import { isOwnerAlive } from '../../io/owner.ts';
import type { Machine } from './axis.ts';
import { COPIES_PREFIX } from './copyInputs.ts';

/** TMPFS_MAGIC of <linux/magic.h>. */
const TMPFS_MAGIC = 0x01021994;

/** Where every Linux has a tmpfs. */
const MEMORY_FOLDER = '/dev/shm';

/** Where Debian, Fedora and Arch put the library. */
const FAKETIME = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib64/faketime/libfaketime.so.1',
  '/usr/lib/faketime/libfaketime.so.1',
];

/**
 * Python's sleep, from 3.11 on, waits for a moment of the monotonic clock. libfaketime (0.9.10) takes its offset away from that
 * moment, even if it is told to leave that clock alone, and the kernel refuses what comes out. To wait for nothing has no such moment.
 * Python reads it as usercustomize (its documentation, module `site`); sitecustomize is a name that projects use: EDK2 has one.
 */
const PYTHON_SLEEP = `import select
import time


def sleep(seconds):
    if seconds < 0:
        raise ValueError('sleep length must be non-negative')
    select.select([], [], [], seconds)


time.sleep = sleep
`;

/** What is the same for all steps. */
export type MachineFacts = Omit<Machine, 'executor' | 'firstExecutor' | 'memoryFolder' | 'reorderedImage'>;

/** Looks at this machine. `scratch` is a folder for what is made for the whole run. */
export function describeMachine(scratch: string, cores: number): MachineFacts {
  const cpuinfo = join(scratch, 'cpuinfo');
  writeFileSync(cpuinfo, plainProcessor(readFileSync('/proc/cpuinfo', 'utf8')));
  const pythonSleep = join(scratch, 'usercustomize.py');
  writeFileSync(pythonSleep, PYTHON_SLEEP);
  return { cores, cpus: allowedCpus(), faketime: FAKETIME.find((path) => existsSync(path)), pythonSleep, cpuinfo };
}

/** A processor of the first x86-64 generation with an invented name. */
function plainProcessor(cpuinfo: string): string {
  return cpuinfo
    .replaceAll(/^(flags\s*:).*$/gm, '$1 fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm')
    .replaceAll(/^(model name\s*:).*$/gm, '$1 a processor of vmbuild verify');
}

/** Numbers of the processors that this process may use (proc(5), Cpus_allowed_list). */
function allowedCpus(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** A folder in memory with room for `bytes`, if there is one. */
export async function memoryFolderFor(bytes: number): Promise<string | undefined> {
  try {
    const { type, bsize, bavail } = await statfs(MEMORY_FOLDER);
    // Half of what is free: the build needs memory, too.
    return type === TMPFS_MAGIC && (bsize * bavail) / 2 > bytes ? MEMORY_FOLDER : undefined;
  } catch {
    return undefined;
  }
}

/** Removes what killed verifications left in memory. */
export async function sweepMemory(): Promise<void> {
  for (const name of await readdir(MEMORY_FOLDER).catch(() => [])) {
    if (name.startsWith(COPIES_PREFIX) && !isOwnerAlive(name.slice(COPIES_PREFIX.length)))
      await removeTree(join(MEMORY_FOLDER, name));
  }
}

/** The executor that a statement's builder names, if it is one of ours. */
export function executorOf(builderId: string): ExecutorName | undefined {
  const name = builderId.split(':').at(-1);
  return name === 'namespace' || name === 'docker' ? name : undefined;
}
