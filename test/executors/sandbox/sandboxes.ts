import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import type { ExecutorName } from '../../../src/executors/executor.ts';
import { cannotBuild } from '../../support/fixture.ts';
import { PROBE_PREFIX } from '../../support/probePrefix.ts';
import { Client } from '../runner/client.ts';

const image = inject('baseImage');
const docker = cannotBuild === undefined ? await createDockerExecutor().probe(PROBE_PREFIX) : undefined;

/** Why no step can run in a container, or undefined if one can. */
export const noDocker: string | undefined = cannotBuild ?? (docker?.available === false ? docker.reason : undefined);

/** An executor, and who runs it. */
export interface Sandbox {
  /** For titles; says why if it is skipped. */
  readonly title: string;
  readonly executor: ExecutorName;
  /** A user without rights, which only root can become. */
  readonly nobody: boolean;
  readonly skip: boolean;
}

/** Both executors, by the user who runs the tests, and if that is root by one without rights as well. */
export const SANDBOXES: readonly Sandbox[] = (['namespace', 'docker'] as const).flatMap((executor) => {
  const why = executor === 'docker' ? noDocker : cannotBuild;
  const users = process.getuid?.() === 0 ? ['root', 'an ordinary user'] : ['an ordinary user'];
  return users.map((user) => ({
    title: `${executor}, by ${user}${why === undefined ? '' : ` (skipped: ${why})`}`,
    executor,
    nobody: user !== users[0],
    skip: why !== undefined,
  }));
});

/** Makes clients, and with them what an ordinary user needs to reach the daemon of root. */
export class Clients implements AsyncDisposable {
  readonly #used = new AsyncDisposableStack();

  async client({ executor, nobody }: Pick<Sandbox, 'executor' | 'nobody'>): Promise<Client> {
    const rootfs = 'folder' in image ? join(image.folder, 'rootfs') : '';
    const host = process.env['DOCKER_HOST'];
    const environment =
      executor === 'namespace' || host === undefined
        ? {}
        : { DOCKER_HOST: nobody && host.startsWith('unix://') ? await this.#openTo(host) : host };
    return this.#used.use(new Client(rootfs, nobody, { executor, environment }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#used.disposeAsync();
  }

  /** A socket that leads to the daemon's, for everybody: as if this user were in its group. */
  async #openTo(host: string): Promise<string> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'vmbuild-test-daemon-')));
    this.#used.defer(() => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o755);
    const path = join(folder, 'docker.sock');
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const daemon = createConnection({ path: host.slice('unix://'.length), allowHalfOpen: true });
      for (const [one, other] of [
        [socket, daemon],
        [daemon, socket],
      ] as const) {
        one.on('error', () => other.destroy()).pipe(other);
      }
    });
    await new Promise<Server>((resolve) => server.listen(path, () => resolve(server)));
    this.#used.defer(() => void server.close());
    chmodSync(path, 0o777);
    return `unix://${path}`;
  }
}
