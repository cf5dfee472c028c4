import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '../../../src/io/files.ts';
import { REPOSITORY } from '../../support/fixture.ts';

/** A Docker daemon that belongs to one scenario, and may be ended at any moment. */
export class OwnDaemon {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<OwnDaemon> {
    // Short: what the daemon puts into it are sockets, whose paths may have 107 bytes.
    const daemon = new OwnDaemon(await mkdtemp(join(tmpdir(), 'vmbuild-fd-')));
    await daemon.start();
    return daemon;
  }

  get host(): string {
    return `unix://${join(this.#folder, 'docker.sock')}`;
  }

  async start(): Promise<void> {
    await this.#script('start');
  }

  /** Ends it as a machine does that shuts down; its containers end as well. */
  async stop(): Promise<void> {
    await this.#script('stop');
  }

  /** Kills it: containers go on running, and nobody looks after them. */
  async kill(): Promise<void> {
    const file = join(this.#folder, 'dockerd.pid');
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}/exe`)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async remove(): Promise<void> {
    await this.stop();
    await removeTree(this.#folder);
  }

  async #script(command: 'start' | 'stop'): Promise<void> {
    // Told its own host, or it would find another daemon that answers, and be content with that.
    const env = { ...process.env, VMBUILD_DOCKER_DIR: this.#folder, DOCKER_HOST: this.host };
    await promisify(execFile)(join(REPOSITORY, 'scripts', 'docker.sh'), [command], { env });
  }
}
