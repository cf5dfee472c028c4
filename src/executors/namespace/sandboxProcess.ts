import { spawn } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { signalName } from '../signals.ts';
import type { StepResult } from '../executor.ts';
import { describeSandbox, type SandboxParameters } from './description.ts';

const ENTER = fileURLToPath(new URL('./enter.pl', import.meta.url));

/** Where perl is looked for, and all that it sees of the environment. */
const HOST_ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/local/bin', LC_ALL: 'C' };

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
  /** What the step prints, on both streams; undefined if the sandbox ended before there was anything to read from. */
  readonly output: Promise<Readable | undefined>;
  /** Comes when every process is gone. Rejects if perl cannot be started. */
  readonly ended: Promise<SandboxEnd>;
  /** The step's first process as this process sees it; undefined before it runs, and when it has ended. */
  readonly pid: () => number | undefined;
  /** Ends everything at once. May be called at any time, and more than once. */
  readonly kill: () => void;
}

/** Starts enter.pl; see there for what is said over its standard input and standard error. */
export function startSandbox(parameters: SandboxParameters): SandboxProcess {
  // The folder is for who looks at the list of processes.
  const child = spawn('perl', [ENTER, parameters.scratch], {
    env: HOST_ENVIRONMENT,
    cwd: '/',
    // A session of its own, so that Ctrl-C is vmbuild's business alone.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.on('error', () => {}); // it ended before it had read everything, and says why
  child.stdin.write(describeSandbox(parameters));

  const output = Promise.withResolvers<Readable | undefined>();
  const ended = Promise.withResolvers<SandboxEnd>();
  ended.promise.catch(() => {}); // whoever waits for the output hears of it first
  let ready = false;
  let pid: number | undefined;
  let result: StepResult | undefined;
  const message: string[] = [];
  /** Where the sandbox cannot be set up its output may be gone before it is opened; what was said of it matters more. */
  const orWhyItEnded = async (error: unknown): Promise<undefined> => {
    child.kill('SIGKILL');
    if ((await ended.promise).message === '') throw error;
  };
  const hear = (line: string): void => {
    const [, word, number] = /^(output|ready|exit|signal) (\d+)$/.exec(line) ?? [];
    if (word === 'output') output.resolve(openPipe(child.pid as number, Number(number)).catch(orWhyItEnded));
    else if (word === 'ready') [ready, pid] = [true, Number(number)];
    else if (word === 'exit') end({ exitCode: Number(number), signal: null });
    else if (word === 'signal') end({ exitCode: null, signal: signalName(Number(number)) });
    else if (line !== '') message.push(line);
  };
  const end = (how: StepResult): void => {
    result = how;
    pid = undefined; // somebody else may have it soon
  };
  let rest = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    lines.forEach(hear);
  });
  void output.promise.then(
    () => child.stdin.end(),
    () => child.kill('SIGKILL'),
  );
  child.on('error', (error) => {
    ended.reject(cannotStart(error));
    output.resolve(undefined);
  });
  child.on('close', () => {
    hear(rest);
    output.resolve(undefined);
    ended.resolve({ ready, result, message: message.join('; ') });
  });
  // It passes this on to the step, and ends when that has ended.
  return { output: output.promise, ended: ended.promise, pid: () => pid, kill: () => void child.kill('SIGTERM') };
}

function cannotStart(error: Error): VmbuildError {
  return systemErrorCode(error) === 'ENOENT'
    ? new VmbuildError('EXECUTOR_FAILED', 'perl is missing, which sets up the sandbox', {
        cause: error,
        hints: ['Install it: sudo apt-get install perl-base (Debian, Ubuntu); elsewhere the package is called perl.'],
      })
    : new VmbuildError('EXECUTOR_FAILED', `perl cannot be started: ${error.message}`, { cause: error });
}

/**
 * Opens a pipe that another process has made. The pipes that Node makes for its children are sockets, and those cannot
 * be opened by name: `echo >/dev/stderr` would fail in the step. One pipe for both streams also keeps their order.
 */
async function openPipe(pid: number, descriptor: number): Promise<Readable> {
  try {
    const fd = openSync(`/proc/${pid}/fd/${descriptor}`, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    throw new VmbuildError('EXECUTOR_FAILED', `the output of the step cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
