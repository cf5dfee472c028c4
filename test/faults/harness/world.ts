import { mkdirSync } from 'node:fs';
import { cp, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { removeTree } from '../../../src/io/files.ts';
import { MountNamespace } from './mounts.ts';
import { type Project, TARGET } from './project.ts';
import { type Ended, type Running, start, type StartOptions } from './run.ts';

/** How a step is run. */
type ExecutorName = 'namespace' | 'docker';

/** How to realise the target. */
export interface RealizeOptions extends StartOptions {
  readonly executor?: ExecutorName;
  /** Instead of TARGET. */
  readonly targets?: readonly string[];
  readonly args?: readonly string[];
}

/** Everything that one scenario may damage: a store, a folder for temporary files, and how to run vmbuild there. */
export class World {
  /** What is below it is ours alone: processes, mounts and locks are recognised by it. */
  readonly folder: string;
  readonly project: Project;
  /** Ids of the vmbuild processes that were started here. */
  readonly pids = new Set<number>();
  #namespace: MountNamespace | undefined;

  private constructor(folder: string, project: Project) {
    this.folder = folder;
    this.project = project;
  }

  /** A world that is removed when the test has finished; its store is empty or a copy of another. */
  static async create(project: Project, store?: string): Promise<World> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'vmbuild-fault-')));
    onTestFinished(() => removeTree(folder));
    const world = World.at(folder, project);
    if (store !== undefined)
      await cp(store, world.store, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    return world;
  }

  /** A world with an empty store in a folder that somebody else removes. */
  static at(folder: string, project: Project): World {
    const world = new World(folder, project);
    mkdirSync(world.temporary, { recursive: true });
    return world;
  }

  /** Runs everything from now on in a mount namespace of its own, in which file systems can be mounted over the store. */
  async ownMounts(): Promise<MountNamespace> {
    const namespace = await MountNamespace.make(this.folder);
    onTestFinished(() => namespace.end());
    this.#namespace = namespace;
    return namespace;
  }

  /** A path of this world as this process sees it. */
  seen(path: string): string {
    return this.#namespace === undefined ? path : this.#namespace.seen(path);
  }

  /** The process that keeps the mount namespace of this world alive. */
  get holder(): number | undefined {
    return this.#namespace?.pid;
  }

  get store(): string {
    return join(this.folder, 'store');
  }

  /** TMPDIR of every command. */
  get temporary(): string {
    return join(this.folder, 'tmp');
  }

  /** Starts any command of vmbuild on this store. */
  start(args: readonly string[], options: StartOptions = {}): Running {
    const { recipes } = this.project;
    const home = join(recipes, '..', 'home');
    const running = start(['--recipes', recipes, '--store', this.store, ...args], this.folder, {
      ...options,
      prefix: [...(this.#namespace?.enter ?? []), ...(options.prefix ?? [])],
      env: {
        HOME: home,
        TMPDIR: this.temporary,
        // Shared by all scenarios of a test file, else each start would compile everything anew.
        NODE_COMPILE_CACHE: join(home, 'compile'),
        ...(process.env['DOCKER_HOST'] === undefined ? {} : { DOCKER_HOST: process.env['DOCKER_HOST'] }),
        ...options.env,
      },
    });
    if (running.child.pid !== undefined) this.pids.add(running.child.pid);
    return running;
  }

  run(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** Starts `vmbuild realize` of the target. No network is needed: everything is in the project's folders. */
  startRealize({ executor = 'namespace', targets = [TARGET], args = [], ...options }: RealizeOptions = {}): Running {
    return this.start(
      ['realize', ...targets, '--json', '--offline', '--jobs', '2', '--executor', executor]
        .concat('--source-dir', this.project.debs)
        .concat(args),
      options,
    );
  }

  realize(options: RealizeOptions = {}): Promise<Ended> {
    return this.startRealize(options).ended;
  }
}
