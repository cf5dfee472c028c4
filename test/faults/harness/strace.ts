import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** System calls that change a file system, as Node makes them; not write(2), with which its threads also wake each other. */
export const CHANGING_CALLS = [
  'chmod',
  'copy_file_range',
  'fchmod',
  'fsync',
  'ftruncate',
  'link',
  'mkdir',
  'pwrite64',
  'rename',
  'rmdir',
  'symlink',
  'unlink',
  'utimensat',
];

/** System calls that read one, but for read(2). */
export const READING_CALLS = ['getdents64', 'openat', 'pread64', 'readlink', 'statx'];

/** A system call that one thread makes for the n-th time. */
export interface CallPoint {
  readonly call: string;
  /** From 1. */
  readonly nth: number;
  /** What it was in the run that was noted: the line of strace. */
  readonly line: string;
}

/**
 * One thread for all file work, so that the n-th system call of a thread is the same one each time, as far as two steps
 * at once allow.
 */
export const ONE_FILE_THREAD = { UV_THREADPOOL_SIZE: '1' } as const;

/** Follows threads, and leaves alone whatever program is started. */
const FOLLOW = ['strace', '--follow-forks', '--detach-on=execve', '--quiet=all', '--signal=none'] as const;

/** A command prefix that notes these system calls of what follows, a file per thread in `folder`. */
export function noting(folder: string, calls: readonly string[]): readonly string[] {
  const output = ['--output-separately', `--output=${join(folder, 'thread')}`];
  return [...FOLLOW, '--decode-fds=path', ...output, `--trace=${calls.join(',')}`];
}

/** The noted system calls, in no particular order. */
export function notedPoints(folder: string): readonly CallPoint[] {
  const points = new Map<string, CallPoint>();
  for (const file of readdirSync(folder)) {
    const counts = new Map<string, number>();
    for (const line of readFileSync(join(folder, file), 'latin1').split('\n')) {
      const call = /^([a-z0-9_]+)\(/.exec(line)?.[1];
      if (call === undefined) continue;
      const nth = (counts.get(call) ?? 0) + 1;
      counts.set(call, nth);
      points.set(`${call} ${nth}`, { call, nth, line });
    }
  }
  return [...points.values()];
}

/** A command prefix that makes something happen at a system call, in the first thread that comes to it. */
export function injecting(
  { call, nth }: Pick<CallPoint, 'call' | 'nth'>,
  what: string,
  log: string,
): readonly string[] {
  const injection = `--inject=${call}:${what}:when=${nth}`;
  return [...FOLLOW, '--decode-fds=path', `--output=${log}`, `--trace=${call}`, injection];
}

/** What a killed process was about to do: the last line of the log. */
export function lastCallIn(log: string): string {
  return readFileSync(log, 'latin1').trimEnd().split('\n').at(-1) ?? '';
}

/** The calls in a log that were made to fail. */
export function failedIn(log: string): readonly string[] {
  return readFileSync(log, 'latin1')
    .split('\n')
    .filter((line) => line.includes('(INJECTED)'));
}
