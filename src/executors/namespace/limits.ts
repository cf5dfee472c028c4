import { release } from 'node:os';
import type { Limits } from '../../model/limits.ts';
import type { LimitSupport, LimitTable } from '../executor.ts';
import type { Usage } from '../watch.ts';
import { type GroupLimit, groupHomes, makeGroup } from './cgroups.ts';
import { canListChildren, measureTree } from './processMeter.ts';

const GROUP_LIMITS: readonly GroupLimit[] = ['cpu', 'memory', 'pids'];

/** How each limit is kept on this machine, by this user. */
export function limitTable(): LimitTable {
  const exactly = (how: string): LimitSupport => ({ kept: 'exactly', how });
  return {
    wall: exactly('a timer'),
    silence: exactly('a timer'),
    cpu: groupLimit('cpu', 'the kernel counts, and is asked five times a second'),
    memory: groupLimit('memory', 'the kernel ends what goes beyond'),
    pids: groupLimit('pids', 'the kernel refuses more'),
    log: exactly('what is printed is counted'),
    output: exactly('sizes are added up before anything is stored'),
  };
}

const SAMPLES: Readonly<Record<GroupLimit, string>> = {
  cpu: 'processes are looked at in /proc; time of children that nobody waits for is not seen',
  memory: 'processes and file systems in memory are looked at; what is shared after a fork counts for each',
  pids: 'processes are looked at in /proc',
};

function groupLimit(limit: GroupLimit, how: string): LimitSupport {
  const home = groupHomes().get(limit);
  if (home !== undefined) return { kept: 'exactly', how: `control group, version ${home.version}: ${how}` };
  if (!canListChildren()) {
    return {
      kept: 'no',
      how: 'no control group can be made here, and the kernel has no /proc/<pid>/task/<tid>/children',
    };
  }
  const capped = limit === 'pids' && forkLimit(0) !== undefined ? `; beyond ${FORK_SLACK} more the kernel refuses` : '';
  return { kept: 'sampled', how: `${SAMPLES[limit]}${capped}` };
}

/** What keeps a step's limits, from before it starts until after it has ended. */
export interface Enforcement extends AsyncDisposable {
  /** Files of control groups that the step joins. */
  readonly joins: readonly string[];
  /** RLIMIT_NPROC of the step, where it helps. */
  readonly processes: number | undefined;
  /** What the step uses; `pid` is its first process while that runs. Undefined if nothing needs to be looked at. */
  readonly measure: ((pid: number | undefined) => Usage) | undefined;
}

/** Prepares what keeps these limits here. */
export function enforce(limits: Limits): Enforcement {
  const wanted = GROUP_LIMITS.filter((limit) => limits[limit] !== undefined);
  if (wanted.length === 0)
    return { joins: [], processes: undefined, measure: undefined, async [Symbol.asyncDispose]() {} };
  const group = makeGroup(limits);
  const sampled = wanted.filter((limit) => !groupHomes().has(limit));
  return {
    joins: group?.joins ?? [],
    processes: sampled.includes('pids') ? forkLimit(limits.pids ?? 0) : undefined,
    measure: (pid) => {
      const seen = sampled.length > 0 && pid !== undefined ? measureTree(pid) : {};
      return { ...Object.fromEntries(sampled.map((limit) => [limit, seen[limit]])), ...group?.usage() };
    },
    [Symbol.asyncDispose]: async () => group?.[Symbol.asyncDispose](),
  };
}

/** How far beyond its limit a step may get between two looks. The sandbox's own two processes count, too. */
const FORK_SLACK = 64;

/**
 * RLIMIT_NPROC for a step that is only looked at now and then, so that even a fork bomb stays small. Linux counts by user
 * namespace since 5.14, before that all processes of the user; and it never refuses anything to the machine's root.
 */
function forkLimit(pids: number): number | undefined {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const perNamespace = major > 5 || (major === 5 && minor >= 14);
  return perNamespace && process.getuid?.() !== 0 ? pids + FORK_SLACK : undefined;
}
