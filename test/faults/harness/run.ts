import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { BuildEvent } from '../../../src/build/events.ts';
import { REPOSITORY } from '../../support/fixture.ts';

/** The program as people start it. */
const VMBUILD = [join(REPOSITORY, 'bin', 'vmbuild')];

/**
 * The same without the shell script in front. For tools that follow a program only up to the next one that it starts;
 * vmbuild's own children are then left alone.
 */
const NODE_ALONE = [process.execPath, join(REPOSITORY, 'src', 'cli', 'main.ts')];

/** How to start it. */
export interface StartOptions {
  /** A command that runs the command which follows it: strace, faketime, nsenter … */
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Start Node itself. */
  readonly withoutScript?: boolean;
}

/** What a finished vmbuild left. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** A vmbuild that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Whether it has ended, and everything that had its output open as well. */
  readonly ended: Promise<Ended>;
  /** What it printed on standard output so far. */
  output(): string;
}

/** Starts vmbuild in a process group and session of its own, with nothing of our environment but PATH. */
export function start(args: readonly string[], cwd: string, options: StartOptions = {}): Running {
  const [program = '', ...rest] = [
    ...(options.prefix ?? []),
    ...(options.withoutScript === true ? NODE_ALONE : VMBUILD),
    ...args,
  ];
  const started = performance.now();
  const child = spawn(program, rest, {
    env: { PATH: process.env['PATH'], NO_COLOR: '1', ...options.env },
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    output += piece;
  });
  const closed = new Promise<Pick<Ended, 'code' | 'signal'>>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const ended = Promise.all([closed, text(child.stderr)]).then(([how, stderr]): Ended => ({
    ...how,
    stdout: output,
    stderr,
    durationMs: performance.now() - started,
  }));
  return { child, ended, output: () => output };
}

/** The events of a run with --json; the last line may have been cut off. */
export function eventsOf(stdout: string): readonly (BuildEvent | Result)[] {
  return stdout.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as BuildEvent | Result];
    } catch {
      return [];
    }
  });
}

/** The line that --json ends with for each target. */
interface Result {
  readonly type: 'result';
  readonly target: string;
  readonly artifact: string;
}

/** The digest of a target that a run with --json gave, or undefined if it gave none. */
export function artifactOf({ stdout }: Ended, target: string): string | undefined {
  return eventsOf(stdout).find((event): event is Result => event.type === 'result' && event.target === target)
    ?.artifact;
}

/** The steps that a run with --json executed, in the order of their start. */
export function executedIn(stdout: string): readonly string[] {
  return eventsOf(stdout).flatMap((event) => (event.type === 'step-started' ? [event.target] : []));
}

/** The code of the error that a run ended with, or undefined if it ended without one. */
export function errorCodeOf({ stderr }: Ended): string | undefined {
  return /^error ([A-Z_]+): /m.exec(stderr)?.[1];
}
