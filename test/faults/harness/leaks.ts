import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from './world.ts';

/**
 * What runs of vmbuild in this world have left outside of its store, when none of them runs any more: processes,
 * mounts, held locks, control groups and temporary files. One sentence each.
 */
export function leaksOf(world: World): readonly string[] {
  return [
    ...processesOf(world),
    ...mountsBelow(world.folder),
    ...heldLocks(world.seen(join(world.store, 'locks'))),
    ...controlGroups(world.pids),
    ...readdirSync(world.seen(world.temporary)).map((name) => `TMPDIR holds ${name}`),
  ];
}

/** Processes of the world, by their environment, or of one of its steps, and those that have something of it open. */
function processesOf({ folder, project, holder }: World): string[] {
  const mentions = (text: string): boolean => text.includes(folder) || text.includes(project.marker);
  return numbersIn('/proc')
    .filter((pid) => pid !== process.pid && pid !== holder)
    .flatMap((pid) => {
      const at = (name: string): string => `/proc/${pid}/${name}`;
      const command = attempt(() => readFileSync(at('cmdline'), 'utf8').replaceAll('\0', ' ')) ?? '';
      const environment = attempt(() => readFileSync(at('environ'), 'utf8')) ?? '';
      const links = ['cwd', 'root', ...numbersIn(at('fd')).map((fd) => `fd/${fd}`)];
      const open = links.some((link) => mentions(attempt(() => readlinkSync(at(link))) ?? ''));
      return command.includes(project.marker) || mentions(environment) || open ? [`process ${pid}: ${command}`] : [];
    });
}

function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder))
    .map((line) => `mount ${line}`);
}

/** Kernel locks on the files of a folder: `/proc/locks` names them by `major:minor:inode`. */
function heldLocks(folder: string): string[] {
  const held = readFileSync('/proc/locks', 'utf8');
  return (attempt(() => readdirSync(folder)) ?? [])
    .filter((name) => {
      const { dev, ino } = lstatSync(join(folder, name), { bigint: true });
      // makedev(3) of glibc, the other way round; the kernel prints both numbers in hexadecimal.
      const hex = (number: bigint): string => number.toString(16).padStart(2, '0');
      const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
      const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
      return held.includes(` ${hex(major)}:${hex(minor)}:${ino} `);
    })
    .map((name) => `lock ${name} is held`);
}

/** Control groups that carry the id of one of our processes in their name. */
function controlGroups(pids: ReadonlySet<number>): string[] {
  const found: string[] = [];
  const visit = (folder: string, depth: number): void => {
    for (const entry of attempt(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
      if (!entry.isDirectory()) continue;
      const path = join(folder, entry.name);
      const numbers = /vmbuild/.test(entry.name) ? (entry.name.match(/\d+/g) ?? []) : [];
      if (numbers.some((number) => pids.has(Number(number)))) found.push(`control group ${path}`);
      if (depth > 0) visit(path, depth - 1);
    }
  };
  visit('/sys/fs/cgroup', 5);
  return found;
}

function numbersIn(folder: string): number[] {
  return (attempt(() => readdirSync(folder)) ?? []).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Processes end, and those of others may not be looked at. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
