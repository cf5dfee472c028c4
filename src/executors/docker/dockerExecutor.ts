import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Container } from 'dockerode';
import { VmbuildError } from '../../model/errors.ts';
import { SANDBOX } from '../../model/sandbox.ts';
import type { Availability, Executor, LimitTable, MountedContent, StepRequest, StepResult } from '../executor.ts';
import { watch } from '../watch.ts';
import { type ContentVolume, contentLabel, isIntact, provideVolume } from './contentVolumes.ts';
import { connect, type Daemon, removeContainer, removeVolume } from './daemon.ts';
import { connectionTrouble, daemonMessage, explainDockerError } from './dockerErrors.ts';
import { imageId, provideImage } from './image.ts';
import { type DaemonLimits, limitTable } from './limits.ts';
import { type Removed, removeLeftovers } from './leftovers.ts';
import { provenDevices, type SharedDevices } from './localDaemon.ts';
import { runContainer } from './runContainer.ts';
import { SharedTasks } from './sharedTasks.ts';
import { createStepContainer } from './stepContainer.ts';
import { type StepMounts, stepMounts } from './stepMounts.ts';
import { unpackOutput } from './unpackOutput.ts';

export interface DockerExecutorOptions {
  /** Path of the daemon's socket; default: DOCKER_HOST and what belongs to it, as dockerode reads them. */
  readonly socketPath?: string | undefined;
  /**
   * `auto`: bind mounts where the daemon is proven to see this machine's files, else volumes. `volumes`: volumes
   * always. A step cannot tell the two apart, but for the times of files.
   */
  readonly inputs?: 'auto' | 'volumes' | undefined;
}

/** The docker executor, and what only it can do. */
export interface DockerExecutor extends Executor {
  readonly name: 'docker';
  /**
   * Removes containers and volumes that killed vmbuild processes of this machine left in the daemon. Happens by itself
   * at the first step.
   */
  removeLeftovers(): Promise<Removed>;
  /** Versions and the like of the daemon, for people. */
  about(): Promise<string>;
}

/** Milliseconds after which a daemon that accepts a connection and says nothing counts as not working. */
const PROBE_TIMEOUT = 10_000;

/** Nothing is contacted before the first call. */
export function createDockerExecutor(options: DockerExecutorOptions = {}): DockerExecutor {
  return new Docker(options);
}

class Docker implements DockerExecutor {
  readonly name = 'docker';
  readonly #options: DockerExecutorOptions;
  readonly #images = new SharedTasks<void>();
  readonly #volumes = new SharedTasks<ContentVolume>();
  readonly #proofs = new SharedTasks<SharedDevices>();
  #daemon: Promise<Daemon> | undefined;
  #cleared: Promise<unknown> | undefined;
  #limits: Promise<LimitTable> | undefined;

  constructor(options: DockerExecutorOptions) {
    this.#options = options;
  }

  async probe(): Promise<Availability> {
    const host = this.#host();
    try {
      const { docker } = await this.#connect();
      const info = docker.info.bind(docker) as (options: object) => Promise<DaemonInfo>; // its type lacks the options
      const { OSType, Architecture, DriverStatus } = await info({ abortSignal: AbortSignal.timeout(PROBE_TIMEOUT) });
      if (OSType !== 'linux' || Architecture !== 'x86_64') {
        return unavailable(`the Docker daemon runs ${OSType}/${Architecture} containers, not linux/amd64`, []);
      }
      if (DriverStatus?.some(([, value]) => value?.startsWith('io.containerd.snapshotter'))) {
        return unavailable('the Docker daemon uses the containerd image store, which names images by another digest', [
          'Set "features": {"containerd-snapshotter": false} in /etc/docker/daemon.json and restart it.',
        ]);
      }
      return { available: true };
    } catch (error) {
      const trouble = connectionTrouble(error, host);
      return unavailable(
        trouble?.reason ?? `the Docker daemon does not work: ${daemonMessage(error)}`,
        trouble?.hints ?? [],
      );
    }
  }

  limits(): Promise<LimitTable> {
    return (this.#limits ??= this.#askLimits());
  }

  async #askLimits(): Promise<LimitTable> {
    try {
      const { docker } = await this.#connect();
      return limitTable((await docker.info()) as DaemonLimits);
    } catch (error) {
      throw explainDockerError(error, undefined, this.#host());
    }
  }

  async about(): Promise<string> {
    try {
      const { docker } = await this.#connect();
      const { Version, ApiVersion } = await docker.version();
      const { Driver, CgroupDriver, KernelVersion } = (await docker.info()) as Readonly<Record<string, string>>;
      const where = this.#host() ?? 'the default socket';
      return `Docker ${Version}, API ${ApiVersion}, ${Driver}, cgroup driver ${CgroupDriver}, Linux ${KernelVersion}, at ${where}`;
    } catch (error) {
      throw explainDockerError(error, undefined, this.#host());
    }
  }

  async removeLeftovers(): Promise<Removed> {
    try {
      return await removeLeftovers(await this.#connect());
    } catch (error) {
      throw explainDockerError(error, undefined, this.#host());
    }
  }

  async run(request: StepRequest): Promise<StepResult> {
    const { signal } = request;
    try {
      signal.throwIfAborted();
      const daemon = await this.#connect();
      // Leftovers disturb nobody but the disk: a failure to remove them is no reason not to build.
      this.#cleared ??= removeLeftovers(daemon).catch(() => {});
      await this.#cleared;
      // Twice, because an image or a volume may be pruned by somebody else after it was found.
      return (await this.#attempt(daemon, request)) ?? (await this.#attempt(daemon, request)) ?? pruned(request.name);
    } catch (error) {
      signal.throwIfAborted();
      throw explainDockerError(error, request.name, this.#host());
    }
  }

  /** Undefined if something that the step needs vanished from the daemon; nothing has run then. */
  async #attempt(daemon: Daemon, request: StepRequest): Promise<StepResult | undefined> {
    const { signal, document } = request;
    await this.#images.run(document.image, signal, (shared) =>
      provideImage(daemon, request.image, document.image, shared),
    );
    const { mounts, volumes } = await this.#mounts(daemon, request);
    signal.throwIfAborted();
    const container = await createStepContainer(daemon, request, mounts).catch((error: unknown) => {
      if (!/no such image/i.test(daemonMessage(error))) throw error;
      this.#images.forget(document.image);
      return undefined;
    });
    if (container === undefined) return undefined;
    const broken: ContentVolume[] = [];
    try {
      for (const volume of volumes) if (!(await isIntact(daemon, volume))) broken.push(volume);
      for (const { content } of broken) this.#volumes.forget(content);
      if (broken.length > 0) return undefined;
      signal.throwIfAborted();
      const result = await this.#execute(daemon, container, request);
      const out = join(request.scratch, 'out');
      // What a failed step left is nobody's: an error in it would hide why the step failed.
      if (result.exitCode !== 0) await mkdir(out);
      else {
        const archive = await container.getArchive({ path: SANDBOX.outDir, abortSignal: signal });
        await unpackOutput(archive as Readable, out, signal, request.conditions.limits.output);
      }
      return result;
    } finally {
      await removeContainer(container);
      // The daemon made these anew, empty, when it created the container. If one is in use, its user removes it too.
      for (const { name } of broken) await removeVolume(daemon.docker.getVolume(name));
    }
  }

  async #execute(daemon: Daemon, container: Container, request: StepRequest): Promise<StepResult> {
    using watched = watch(request);
    try {
      const result = await runContainer(daemon.docker, container, request.output, request.conditions.limits, watched);
      await watched.end();
      return result;
    } catch (error) {
      watched.signal.throwIfAborted(); // whatever the abort made of it
      throw error;
    }
  }

  async #mounts(daemon: Daemon, request: StepRequest): Promise<StepMounts> {
    const { name, scratch, signal, document, conditions } = request;
    const image = imageId(document.image);
    const shared = new Set<number>();
    if (this.#options.inputs !== 'volumes') {
      const { copiesIn } = conditions.variations ?? {};
      for (const folder of [scratch, ...(copiesIn === undefined ? [] : [copiesIn])]) {
        const { dev } = await stat(folder);
        const proven = await this.#proofs.run(String(dev), signal, () => provenDevices(daemon, image, name, folder));
        for (const device of proven) shared.add(device);
      }
    }
    return stepMounts(request, shared, (source: MountedContent) =>
      this.#volumes.run(contentLabel(source), signal, (task) => provideVolume(daemon, image, source, name, task)),
    );
  }

  #connect(): Promise<Daemon> {
    this.#daemon ??= connect(this.#options.socketPath);
    return this.#daemon;
  }

  #host(): string | undefined {
    const { socketPath } = this.#options;
    return socketPath === undefined ? process.env['DOCKER_HOST'] || undefined : `unix://${socketPath}`;
  }
}

interface DaemonInfo {
  readonly OSType: string;
  readonly Architecture: string;
  readonly DriverStatus: readonly (readonly string[])[] | null;
}

function unavailable(reason: string, hints: readonly string[]): Availability {
  return { available: false, reason, hints };
}

function pruned(step: string): never {
  throw new VmbuildError(
    'EXECUTOR_FAILED',
    'images or volumes vanish from the Docker daemon faster than they are made',
    {
      step,
      hints: ['Something prunes them (`docker system prune`?): stop it, and build again.'],
    },
  );
}
