import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import { daemonAnswers, docker, Harness, NEEDS_DAEMON, objectsLabelled, until } from './harness.ts';
import { configFor } from './tinyImage.ts';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { sha256 } from '../../../src/model/digest.ts';

const answers = await daemonAnswers();
const NOTHING = { containers: [], volumes: [] };

describe.skipIf(!answers)(`docker executor, interrupted ${NEEDS_DAEMON}`, { timeout: 120_000 }, () => {
  let harness: Harness;
  beforeAll(() => {
    harness = new Harness();
  });
  afterAll(() => harness.dispose());
  const executor = createDockerExecutor();
  const socket = (process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock').replace('unix://', '');

  it('leaves nothing when it is aborted at any moment', async () => {
    for (const inputs of ['auto', 'volumes'] as const) {
      for (const delay of [0, 1, 3, 8, 15, 25, 40, 60, 90, 130, 180, 250, 350, 500, 800]) {
        const controller = new AbortController();
        // New content and a new image each time, so that filling and loading are interrupted too.
        const content = harness.tree({ big: randomBytes(3 * 1024 * 1024) });
        const config = configFor(treeDigest(harness.image.rootfs, listTree(harness.image.rootfs, 'image')), {
          Labels: { delay: `${inputs} ${delay} ${Date.now()}` },
        });
        const { request } = harness.step('echo started; sleep 60', {
          signal: controller.signal,
          inputs: { content },
          image: { rootfs: harness.image.rootfs, config },
        });
        const reason = new Error(`aborted after ${delay} ms`);
        const running = createDockerExecutor({ inputs }).run(request);
        setTimeout(() => controller.abort(reason), delay);
        await expect(running).rejects.toBe(reason);
        const left = objectsLabelled(`vmbuild.step=${request.name}`);
        // What was filled before the end is content that later steps use. Then a record names it.
        const lost = left.volumes.filter((name) => !isRecorded(name));
        expect({ ...left, volumes: lost }, `${inputs}, ${delay} ms`).toEqual(NOTHING);
      }
    }
  });

  it('ends the whole process tree of a running step, also while its reader stalls', async () => {
    const controller = new AbortController();
    const step = harness.step('sleep 1234 & trap "" TERM INT; yes', { signal: controller.signal });
    const written: unknown[] = [];
    step.request.output.write = (chunk: unknown) => written.push(chunk) < 0; // never takes more, never drains
    const running = executor.run(step.request);
    running.catch(() => {});
    await until(() => written.length > 0);
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(objectsLabelled(`vmbuild.step=${step.request.name}`)).toEqual(NOTHING);
  });

  it('runs nothing if it is aborted before', async () => {
    const reason = new Error('before');
    await expect(executor.run(harness.step('true', { signal: AbortSignal.abort(reason) }).request)).rejects.toBe(
      reason,
    );
  });

  it('lets others go on that share the loading of an image', async () => {
    const config = configFor(treeDigest(harness.image.rootfs, listTree(harness.image.rootfs, 'image')), {
      Labels: { shared: String(Date.now()) },
    });
    const image = { rootfs: harness.image.rootfs, config };
    const controller = new AbortController();
    const fresh = createDockerExecutor();
    const aborted = fresh.run(harness.step('true', { image, signal: controller.signal }).request);
    const other = fresh.run(harness.step('true', { image }).request);
    setTimeout(() => controller.abort(new Error('left')), 30);
    await expect(aborted).rejects.toThrow('left');
    expect(await other).toEqual({ exitCode: 0, signal: null });
  });

  it('says so when the daemon goes away in the middle', async () => {
    await executor.run(harness.step('true').request);
    for (const script of ['echo started; sleep 60', 'echo started; exec >&- 2>&-; sleep 60']) {
      const proxy = await startProxy(join(harness.folder, `proxy-${sha256(script).slice(0, 6)}.sock`), socket);
      const step = harness.step(script);
      const running = createDockerExecutor({ socketPath: proxy.path }).run(step.request);
      running.catch(() => {});
      await until(() => step.text() === 'started\n');
      await sleep(200);
      await proxy.die();
      await expect(running).rejects.toMatchObject({ code: 'EXECUTOR_FAILED', step: step.request.name });
      await running.catch((error: { cause: unknown; hints: string[] }) => {
        expect(error.cause).toBeInstanceOf(Error);
        expect(error.hints.length).toBeGreaterThan(0);
      });
      // Nothing could be removed through a daemon that is gone; its labels say whose it is.
      const { containers } = objectsLabelled(`vmbuild.step=${step.request.name}`);
      expect(containers.length).toBe(1);
      docker('rm', '--force', '--volumes', ...containers);
      expect(objectsLabelled(`vmbuild.step=${step.request.name}`)).toEqual(NOTHING);
    }
  });
});

function isRecorded(volume: string): boolean {
  const content = docker('volume', 'inspect', '--format', '{{index .Labels "vmbuild.content"}}', volume);
  if (content === '') return false;
  const record = `vmbuild-${content.replace(':', '-')}`;
  return docker('volume', 'ls', '--format', '{{.Label "vmbuild.volume"}}', '--filter', `name=${record}`) === volume;
}

/** A daemon that can die without harm to the real one. */
async function startProxy(path: string, target: string): Promise<{ path: string; die(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: target, allowHalfOpen: true });
    for (const end of [client, upstream]) sockets.add(end.on('error', () => {}));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((done) => server.listen(path, done));
  const die = async () => {
    server.close();
    for (const end of sockets) end.destroy();
    rmSync(path, { force: true });
  };
  return { path, die };
}
