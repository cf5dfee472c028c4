import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { chownSync, closeSync, copyFileSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutorName } from '../../../src/executors/executor.ts';
import type { Answer, Question } from './protocol.ts';

const RUNNER = fileURLToPath(new URL('./runner.ts', import.meta.url));
const NOBODY = 65534;

/** Becomes the user that owns nothing. */
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] as const;

/** What only the runner knows, and no step may. */
export const SECRET = 'hunter2-and-nothing-else';

function unused(count: number): 'ignore'[] {
  return Array.from({ length: count }, () => 'ignore');
}

export interface ClientOptions {
  /** Where its folder is made. */
  readonly parent?: string;
  /** Whether it works on a copy of the image. */
  readonly copy?: boolean;
  readonly executor?: ExecutorName;
  /** Variables of the runner, beyond those that every runner has. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A runner process with a folder of its own. */
export class Client implements Disposable {
  readonly folder: string;
  readonly process: ChildProcessWithoutNullStreams;
  readonly #image: string;
  readonly #nobody: boolean;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #announced = new Map<number, () => void>();
  readonly #options: ClientOptions;
  #next = 0;

  /** @param nobody run as a user without rights, on a copy of the image that this user owns. */
  constructor(rootfs: string, nobody: boolean, options: ClientOptions = {}) {
    const { parent = tmpdir(), copy = nobody, executor = 'namespace', environment = {} } = options;
    this.#nobody = nobody;
    this.#options = options;
    this.folder = realpathSync(mkdtempSync(join(parent, 'vmbuild test #1 \\ ü-')));
    const prefix = nobody ? AS_NOBODY : [];
    let image = rootfs;
    if (nobody) chownSync(this.folder, NOBODY, NOBODY);
    if (copy) {
      image = join(this.folder, 'rootfs');
      copyFileSync(join(dirname(rootfs), 'config.json'), join(this.folder, 'config.json'));
      // By root, because the store may lie in a home that nobody else can enter.
      execFileSync('cp', ['-r', '--preserve=mode,links', rootfs, image]);
      if (nobody) execFileSync('chown', ['-R', '--no-dereference', `${NOBODY}:${NOBODY}`, image]);
    }
    this.#image = image;
    const secret = openSync('/etc/passwd', 'r');
    const command = [...prefix, process.execPath, RUNNER, this.folder, image, executor];
    const child = spawn(command[0] as string, command.slice(1), {
      env: {
        PATH: process.env['PATH'],
        SECRET,
        TZ: 'Asia/Tokyo',
        LANG: 'de_DE.UTF-8',
        HOME: '/nowhere',
        ...environment,
      },
      // Descriptors 5 and 40 stand for what a CI system or make may have left open. Node itself sees to the low ones.
      stdio: ['pipe', 'pipe', 'inherit', ...unused(2), secret, ...unused(34), secret],
      cwd: '/',
    }) as unknown as ChildProcessWithoutNullStreams;
    closeSync(secret);
    this.process = child;
    this.process.stdin.on('error', () => {}); // it was killed
    void (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        const answer = JSON.parse(line) as Answer & { id: number; announced?: true };
        if (answer.announced) this.#announced.get(answer.id)?.();
        else this.#waiting.get(answer.id)?.(answer);
      }
    })();
  }

  /** Another runner, of the same user and on the same image. */
  another(): Client {
    return new Client(this.#image, this.#nobody, { ...this.#options, copy: false });
  }

  run(question: Omit<Question, 'id'>): Promise<Answer> {
    const id = (this.#next += 1);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.process.stdin.write(`${JSON.stringify({ ...question, id })}\n`);
    });
  }

  /** Begins a step, and comes back when it has printed `text`. It goes on until it ends by itself or the client does. */
  async begin(question: Omit<Question, 'id'>, text: string): Promise<void> {
    const announced = new Promise<void>((resolve) => this.#announced.set(this.#next + 1, resolve));
    const ended = this.run({ ...question, announce: text });
    const early = ended.then(({ output }) => Promise.reject(new Error(`it ended without saying so: ${output}`)));
    early.catch(() => {}); // it may end later
    await Promise.race([announced, early]);
  }

  /** Runs a bash script and gives what it printed. */
  async script(script: string, question: Partial<Question> = {}): Promise<string> {
    const answer = await this.run({ ...question, command: ['bash', '-c', script] });
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return answer.output;
  }

  [Symbol.dispose](): void {
    this.process.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
