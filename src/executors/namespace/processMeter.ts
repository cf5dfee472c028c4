import { readdirSync, readFileSync, statfsSync, type StatsFs } from 'node:fs';
import { systemErrorCode } from '../../model/errors.ts';
import type { Usage } from '../watch.ts';

/** What one process uses. */
interface ProcessUsage {
  /** Ticks of its own processor time and that of its children which have ended and were waited for. */
  readonly ticks: number;
  readonly threads: number;
  /** Bytes of memory that is not a file's. */
  readonly memory: number;
}

/** USER_HZ, in which /proc counts processor time: 100 on every architecture but Alpha and IA-64 (time(7)). */
const TICKS_PER_SECOND = 100;

/** Pages of x86-64. */
const PAGE = 4096;

/** File systems in memory that a step may write to. */
const IN_MEMORY = ['/tmp', '/dev/shm'];

/** True if the kernel tells which children a thread has (CONFIG_PROC_CHILDREN, which distributions set). */
export function canListChildren(): boolean {
  try {
    readFileSync(`/proc/self/task/${process.pid}/children`);
    return true;
  } catch {
    return false;
  }
}

/**
 * What a process and all its descendants use, as /proc tells it (proc(5)). Of a process that is the first of its process
 * namespace nothing escapes: orphans become its children. It is a look at what changes meanwhile, and some things it
 * cannot see: processor time of children that nobody waits for, and memory that belongs to no process and no mounted file
 * system (memfd_create, System V). Pages that processes share after a fork count for each.
 *
 * @param pid of the first process, as this process sees it.
 */
export function measureTree(pid: number): Usage {
  let ticks = 0;
  let pids = 0;
  let memory = 0;
  const pending = [pid];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    // The parent before its children: one that ends in between is missed now, and not counted twice.
    const usage = measureProcess(next);
    if (usage === undefined) continue;
    ticks += usage.ticks;
    pids += usage.threads;
    memory += usage.memory;
    pending.push(...childrenOf(next, usage.threads));
  }
  for (const folder of IN_MEMORY) memory += bytesIn(`/proc/${pid}/root${folder}`);
  return { cpu: ticks / TICKS_PER_SECOND, pids, memory };
}

/** Undefined if it has ended. */
function measureProcess(pid: number): ProcessUsage | undefined {
  const stat = readProc(`${pid}/stat`);
  const statm = readProc(`${pid}/statm`);
  if (stat === undefined || statm === undefined) return undefined;
  // Fields from the third on; the second may hold spaces and parentheses.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11);
  const [, resident = 0, shared = 0] = statm.split(' ').map(Number);
  return { ticks: utime + stime + cutime + cstime, threads: fields[17] ?? 0, memory: (resident - shared) * PAGE };
}

function childrenOf(pid: number, threads: number): number[] {
  const tasks = threads <= 1 ? [String(pid)] : listTasks(pid);
  return tasks.flatMap((task) => {
    const text = readProc(`${pid}/task/${task}/children`)?.trim();
    return text === undefined || text === '' ? [] : text.split(' ').map(Number);
  });
}

function listTasks(pid: number): readonly string[] {
  return unlessGone(() => readdirSync(`/proc/${pid}/task`)) ?? [];
}

function readProc(path: string): string | undefined {
  return unlessGone(() => readFileSync(`/proc/${path}`, 'latin1'));
}

/** Bytes in use of the file system at a path. */
function bytesIn(path: string): number {
  const facts = unlessGone((): StatsFs => statfsSync(path));
  return facts === undefined ? 0 : (facts.blocks - facts.bfree) * facts.bsize;
}

/** A process may end at any moment (ESRCH if that is while its file is read). */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}
