import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { systemErrorCode, VmbuildError } from '../../model/errors.ts';

const ENTER = fileURLToPath(new URL('./enter.pl', import.meta.url));

/**
 * Where perl is looked for, and all that it sees of the environment. A process can give itself a title as long as its arguments
 * and its environment were: the rest is room for it.
 */
const HOST_ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/local/bin', LC_ALL: 'C', ROOM: ' '.repeat(1024) };

/** The first process of a sandbox, which waits to be told what to do. */
export interface Keeper {
  readonly pid: number;
  /** Its descriptors: of the pipe that takes the description, of the one that tells, and of the step's output. */
  readonly descriptors: readonly [describe: number, tell: number, output: number];
}

/**
 * The process that forks keepers, one for each sandbox: enter.pl, which says why. It is started when it is first needed and
 * lives as long as this process. Nothing of a sandbox passes through it.
 */
class Zygote {
  readonly #child: ChildProcess;
  readonly #waiting: PromiseWithResolvers<Keeper>[] = [];
  /** Why it did not do what it was asked to. */
  readonly #said: string[] = [];
  #gone = false;

  constructor() {
    this.#child = spawn('perl', [ENTER, String(process.pid)], {
      env: HOST_ENVIRONMENT,
      cwd: '/',
      // A session of its own, so that Ctrl-C is vmbuild's business alone.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const { stdin, stderr } = this.#streams;
    stdin.on('error', () => {}); // it has ended, and says why
    let rest = '';
    stderr.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) this.#hear(line);
    });
    this.#child.on('error', (error) => this.#end(cannotStart(error)));
    this.#child.on('close', () => this.#end(noKeeper(this.#said.join('; ') || 'perl has ended')));
    // At the end of the program it ends by itself, so that what it has used is counted.
    process.once('beforeExit', this.#dismiss);
    this.#rest();
  }

  get gone(): boolean {
    return this.#gone;
  }

  fork(): Promise<Keeper> {
    const keeper = Promise.withResolvers<Keeper>();
    this.#waiting.push(keeper);
    this.#streams.stderr.ref();
    this.#streams.stdin.write('\n');
    return keeper.promise;
  }

  /** Streams of child processes are sockets, which their types do not say. */
  get #streams(): { readonly stdin: Socket; readonly stderr: Socket } {
    return { stdin: this.#child.stdin as Socket, stderr: this.#child.stderr as Socket };
  }

  #hear(line: string): void {
    const [, ...numbers] = /^keeper (\d+) (\d+) (\d+) (\d+)$/.exec(line) ?? [];
    const [pid = 0, describe = 0, tell = 0, output = 0] = numbers.map(Number);
    if (pid !== 0) this.#waiting.shift()?.resolve({ pid, descriptors: [describe, tell, output] });
    else if (this.#waiting.length > 0) this.#waiting.shift()?.reject(noKeeper(line));
    if (this.#waiting.length === 0) this.#rest();
  }

  /** As long as nobody waits for it, it keeps nobody from ending. */
  #rest(): void {
    this.#child.unref();
    this.#streams.stdin.unref();
    this.#streams.stderr.unref();
  }

  #end(error: VmbuildError): void {
    this.#gone = true;
    process.off('beforeExit', this.#dismiss);
    for (const keeper of this.#waiting.splice(0)) keeper.reject(error);
  }

  readonly #dismiss = (): void => {
    this.#gone = true;
    this.#child.ref();
    this.#streams.stdin.end();
  };
}

let zygote: Zygote | undefined;

/**
 * Forks the first process of a sandbox.
 *
 * @throws VmbuildError EXECUTOR_FAILED if perl cannot be started, or there can be no more processes.
 */
export function forkKeeper(): Promise<Keeper> {
  if (zygote === undefined || zygote.gone) zygote = new Zygote();
  return zygote.fork();
}

function noKeeper(why: string): VmbuildError {
  return new VmbuildError('EXECUTOR_FAILED', `the sandbox cannot be started: ${why}`);
}

function cannotStart(error: Error): VmbuildError {
  return systemErrorCode(error) === 'ENOENT'
    ? new VmbuildError('EXECUTOR_FAILED', 'perl is missing, which sets up the sandbox', {
        cause: error,
        hints: ['Install it: sudo apt-get install perl-base (Debian, Ubuntu); elsewhere the package is called perl.'],
      })
    : new VmbuildError('EXECUTOR_FAILED', `perl cannot be started: ${error.message}`, { cause: error });
}
