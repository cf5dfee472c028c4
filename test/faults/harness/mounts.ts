import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Becomes root of a user and mount namespace of its own; works for ordinary users, too. */
const OWN_NAMESPACES = ['unshare', '--user', '--map-root-user', '--mount', '--propagation', 'private'] as const;

/**
 * A mount namespace that lives as long as this object: file systems of any size and kind over a store, which disturb
 * nobody else and are gone with it, whatever happens to the tests.
 */
export class MountNamespace {
  readonly #process: ChildProcess;
  readonly pid: number;

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.pid = child.pid as number;
  }

  static async make(cwd: string): Promise<MountNamespace> {
    const [program, ...args] = OWN_NAMESPACES;
    // It ends when its input does, which happens at the latest when the tests end.
    const child = spawn(program, [...args, 'sh', '-c', 'echo ready && exec cat'], {
      cwd,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return new MountNamespace(child);
  }

  /** The command that runs the command which follows it in here. */
  get enter(): readonly string[] {
    return ['nsenter', '--preserve-credentials', '--user', '--mount', `--target=${this.pid}`, '--wd=.'];
  }

  /** Runs a small command in here and gives what it printed. */
  run(...command: string[]): string {
    const [program = '', ...args] = [...this.enter, ...command];
    return execFileSync(program, args, { encoding: 'utf8' });
  }

  /** A path in here, for processes outside. */
  seen(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  async end(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }
}
