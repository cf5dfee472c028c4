import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import type { StepResult } from '../executor.ts';
import { signalName } from '../signals.ts';
import { describeSandbox, type SandboxParameters } from './description.ts';
import { forkKeeper, type Keeper } from './zygote.ts';

/** How a sandbox ended. */
export interface SandboxEnd {
  /** The sandbox was complete, and the command was executed. */
  readonly ready: boolean;
  /** How the command ended; undefined if nobody was left to tell it. */
  readonly result: StepResult | undefined;
  /** What else was said: what went wrong, if anything did. */
  readonly message: string;
}

/** A sandbox from its first process to its last. */
export interface SandboxProcess {
  /** What the step prints, on both streams. */
  readonly output: Readable;
  /** Comes when every process is gone. */
  readonly ended: Promise<SandboxEnd>;
  /** The step's first process as this process sees it; undefined before it runs, and when it has ended. */
  readonly pid: () => number | undefined;
  /** Ends everything at once. May be called at any time, and more than once. */
  readonly kill: () => void;
}

/**
 * Starts a sandbox; enter.pl says what is told over its pipes.
 *
 * @throws VmbuildError EXECUTOR_FAILED if there is no process for it. Whatever else goes wrong is how it ends.
 */
export async function startSandbox(parameters: SandboxParameters): Promise<SandboxProcess> {
  const description = describeSandbox(parameters);
  const [describe, tell, output] = openPipes(await forkKeeper());
  describe.on('error', () => {}); // it has ended, and says why
  describe.write(description);

  const ended = Promise.withResolvers<SandboxEnd>();
  let ready = false;
  let pid: number | undefined;
  let result: StepResult | undefined;
  const message: string[] = [];
  const end = (how: StepResult): void => {
    result = how;
    pid = undefined; // somebody else may have it soon
  };
  const hear = (line: string): void => {
    const [, word, number] = /^(ready|exit|signal) (\d+)$/.exec(line) ?? [];
    if (word === 'ready') [ready, pid] = [true, Number(number)];
    else if (word === 'exit') end({ exitCode: Number(number), signal: null });
    else if (word === 'signal') end({ exitCode: null, signal: signalName(Number(number)) });
    else if (line !== '') message.push(line);
  };
  let rest = '';
  tell.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    lines.forEach(hear);
  });
  tell.on('error', ended.reject);
  tell.on('close', () => {
    hear(rest);
    describe.destroy();
    ended.resolve({ ready, result, message: message.join('; ') });
  });
  return { output, ended: ended.promise, pid: () => pid, kill: () => void describe.destroy() };
}

/**
 * Opens the pipes that another process has made. The pipes that Node makes for its children are sockets, and those cannot
 * be opened by name: `echo >/dev/stderr` would fail in the step. One pipe for both streams also keeps their order.
 */
function openPipes({ pid, descriptors: [describe, tell, output] }: Keeper): [Socket, Socket, Socket] {
  const opened: number[] = [];
  try {
    for (const [descriptor, mode] of [
      [describe, constants.O_WRONLY],
      [tell, constants.O_RDONLY],
      [output, constants.O_RDONLY],
    ] as const) {
      opened.push(openSync(`/proc/${pid}/fd/${descriptor}`, mode | constants.O_NONBLOCK));
    }
    const [toDescribe, toHear, toRead] = opened as [number, number, number];
    return [
      new Socket({ fd: toDescribe, readable: false, writable: true }),
      new Socket({ fd: toHear, readable: true, writable: false }),
      new Socket({ fd: toRead, readable: true, writable: false }),
    ];
  } catch (error) {
    // It would wait for ever.
    killIfThere(pid);
    for (const fd of opened) closeSync(fd);
    throw new VmbuildError('EXECUTOR_FAILED', `the sandbox cannot be reached: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // That is why.
  }
}
