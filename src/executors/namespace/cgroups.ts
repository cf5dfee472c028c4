import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isOwnerAlive, ownerPrefix } from '../../io/owner.ts';
import type { Limits } from '../../model/limits.ts';
import type { Usage } from '../watch.ts';

/** Limits that a control group keeps: documentation of Linux, admin-guide/cgroup-v1 and cgroup-v2.rst. */
export type GroupLimit = 'cpu' | 'memory' | 'pids';

/** A folder below which this process may make groups that keep a limit. */
interface GroupHome {
  readonly version: 1 | 2;
  readonly folder: string;
}

const CONTROLLERS: Readonly<Record<GroupLimit, { readonly v1: string; readonly v2: string | undefined }>> = {
  // What a group has used of the processors is counted in every group of version 2.
  cpu: { v1: 'cpuacct', v2: undefined },
  memory: { v1: 'memory', v2: 'memory' },
  pids: { v1: 'pids', v2: 'pids' },
};

/** Where this process may make groups for each limit; a limit is missing where it may not, or where the kernel lacks it. */
export type GroupHomes = ReadonlyMap<GroupLimit, GroupHome>;

let homes: GroupHomes | undefined;

/** Finds out where groups can be made. Nothing is made for it but what is removed at once. */
export function groupHomes(): GroupHomes {
  return (homes ??= findHomes());
}

function findHomes(): GroupHomes {
  const found = new Map<GroupLimit, GroupHome>();
  const own = ownGroups();
  for (const limit of ['cpu', 'memory', 'pids'] as const) {
    const { v1, v2 } = CONTROLLERS[limit];
    const home = own.get(v1);
    const folder = home === undefined ? delegated(own.get(''), v2) : home;
    if (folder === undefined || !canMakeGroups(folder)) continue;
    sweep(folder);
    found.set(limit, { version: home === undefined ? 2 : 1, folder });
  }
  return found;
}

/** The folders of this process's groups by controller; `''` is that of version 2. proc(5), cgroups(7). */
function ownGroups(): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined || path === undefined) continue;
      for (const controller of controllers.split(',')) {
        const folder = folderOf(controller, path, mounts);
        if (folder !== undefined) groups.set(controller, folder);
      }
    }
  } catch {
    // A kernel without control groups.
  }
  return groups;
}

/** Where a group's folder is seen, if its hierarchy is mounted at all. */
function folderOf(controller: string, path: string, mounts: readonly string[]): string | undefined {
  for (const line of mounts) {
    // 36 35 98:0 /root /point options … - type source options
    const [before, after] = line.split(' - ');
    const [root = '', point = ''] = before?.split(' ').slice(3, 5) ?? [];
    const [type, , options = ''] = after?.split(' ') ?? [];
    const fits = controller === '' ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller);
    const below =
      root === '/' ? path : path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
    if (fits && below !== undefined) return join(point, below);
  }
  return undefined;
}

/**
 * In version 2 a group with processes in it gives its children no controllers, so they are made below the nearest group
 * further up that does; and who puts a process into another group must be allowed to write to the one above both.
 */
function delegated(own: string | undefined, controller: string | undefined): string | undefined {
  for (let folder = own; folder !== undefined && folder !== '/'; folder = dirname(folder)) {
    try {
      const controllers = readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
      const gives = controller === undefined || controllers.includes(controller);
      if (gives && isWritable(join(folder, 'cgroup.procs'))) return folder;
    } catch {
      return undefined; // above the file system of control groups
    }
  }
  return undefined;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Only the attempt tells: a folder's rights say nothing of a read-only mount, nor of what a container may do. */
function canMakeGroups(folder: string): boolean {
  const trial = freshGroup(folder);
  try {
    mkdirSync(trial);
    rmdirSync(trial);
    return true;
  } catch {
    return false;
  }
}

const PREFIX = 'vmbuild-';

function freshGroup(home: string): string {
  return join(home, `${PREFIX}${ownerPrefix()}${Math.random().toString(36).slice(2)}`);
}

/** Removes the groups of vmbuild processes that were killed. Their steps died with them, so the groups are empty. */
function sweep(home: string): void {
  try {
    for (const name of readdirSync(home)) {
      if (!name.startsWith(PREFIX) || isOwnerAlive(name.slice(PREFIX.length))) continue;
      try {
        rmdirSync(join(home, name));
      } catch {
        // Still dying, or somebody else is removing it: the next one tries again.
      }
    }
  } catch {
    // It cannot be listed; then nothing was made in it either.
  }
}

/** The control groups of one step. */
export interface StepGroup extends AsyncDisposable {
  /** Files to which a process writes `0` to join. */
  readonly joins: readonly string[];
  /** Meter of what is in the groups, exact, also when all has ended. */
  readonly usage: () => Usage;
}

/** Makes groups for those of the limits that groups keep here; undefined if there are none. */
export function makeGroup(limits: Limits): StepGroup | undefined {
  const made = new Map<string, string>();
  const groups = new Map<GroupLimit, { readonly folder: string; readonly version: 1 | 2 }>();
  const remove = async (): Promise<void> => {
    for (const folder of made.values()) await removeGroup(folder);
  };
  try {
    for (const [limit, { folder: home, version }] of groupHomes()) {
      const value = limits[limit];
      if (value === undefined) continue;
      const folder = made.get(home) ?? freshGroup(home);
      if (!made.has(home)) mkdirSync(folder);
      made.set(home, folder);
      groups.set(limit, { folder, version });
      for (const [file, text] of settings(limit, version, value)) writeSetting(join(folder, file), text);
    }
  } catch (error) {
    void remove();
    throw error;
  }
  if (made.size === 0) return undefined;
  return {
    joins: [...made.values()].map((folder) => join(folder, 'cgroup.procs')),
    usage: () => readUsage(groups),
    [Symbol.asyncDispose]: remove,
  };
}

/** What is written into a new group; a name that ends in `?` is of what not every kernel has. */
function settings(
  limit: GroupLimit,
  version: 1 | 2,
  value: number,
): readonly (readonly [file: string, text: string])[] {
  if (limit === 'cpu') return []; // it is only counted
  if (limit === 'pids') return [['pids.max', String(value)]];
  const bytes = String(value);
  return version === 1
    ? [
        ['memory.limit_in_bytes', bytes],
        ['memory.memsw.limit_in_bytes?', bytes], // memory and swap together
      ]
    : [
        ['memory.max', bytes],
        ['memory.swap.max?', '0'],
        ['memory.oom.group?', '1'], // all or nothing
      ];
}

function writeSetting(path: string, text: string): void {
  try {
    writeFileSync(path.replace(/\?$/, ''), text, { flag: 'r+' });
  } catch (error) {
    if (!path.endsWith('?')) throw error;
  }
}

function readUsage(groups: ReadonlyMap<GroupLimit, GroupHome>): Usage {
  const read = (limit: GroupLimit, file: readonly [v1: string, v2: string], key: string): number => {
    const group = groups.get(limit);
    if (group === undefined) return 0;
    const text = readFileSync(join(group.folder, file[group.version - 1] as string), 'utf8');
    return Number(
      new RegExp(group.version === 1 && key === 'usage_usec' ? '^(\\d+)' : `^${key} (\\d+)`, 'm').exec(text)?.[1] ?? 0,
    );
  };
  const cpu = groups.get('cpu');
  const killed = read('memory', ['memory.oom_control', 'memory.events'], 'oom_kill') > 0;
  const refused = read('pids', ['pids.events', 'pids.events'], 'max') > 0;
  return {
    // Nanoseconds in version 1, microseconds in version 2.
    cpu: cpu && read('cpu', ['cpuacct.usage', 'cpu.stat'], 'usage_usec') / (cpu.version === 1 ? 1e9 : 1e6),
    reached: [...(killed ? (['memory'] as const) : []), ...(refused ? (['pids'] as const) : [])],
  };
}

/** A group is busy until the kernel has done with the last process that was in it. */
async function removeGroup(folder: string): Promise<void> {
  for (let pause = 1; pause <= 512; pause *= 2) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return; // it carries its owner's mark, for the sweep
      await sleep(pause);
    }
  }
}
