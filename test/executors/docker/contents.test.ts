import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import type { StepRequest } from '../../../src/executors/executor.ts';
import { dockerArchive } from '../../../src/io/dockerArchive.ts';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { daemonAnswers, docker, Harness, NEEDS_DAEMON, objectsLabelled, until } from './harness.ts';
import { configFor } from './tinyImage.ts';

const answers = await daemonAnswers();
const SOURCE = resolve(import.meta.dirname, '../../../src/executors/docker/dockerExecutor.ts');

describe.skipIf(!answers)(`docker executor, images and contents ${NEEDS_DAEMON}`, { timeout: 120_000 }, () => {
  let harness: Harness;
  beforeAll(() => {
    harness = new Harness();
  });
  afterAll(() => harness.dispose());
  const run = async (request: StepRequest) => createDockerExecutor({ inputs: 'volumes' }).run(request);

  it('loads an image whose id is the digest of its config, with its layer as the canonical tar', async () => {
    const config = configFor(treeDigest(harness.image.rootfs, listTree(harness.image.rootfs, 'image')), {
      Labels: { t: 'x' },
    });
    const archive = join(harness.folder, 'image.tar');
    writeFileSync(archive, await buffer(dockerArchive({ ...harness.image, config, tags: ['vmbuild:test'] })));
    expect(docker('load', '--quiet', '--input', archive)).toContain('vmbuild:test');
    expect(docker('image', 'inspect', '--format', '{{.Id}}', 'vmbuild:test')).toBe(`sha256:${sha256(config)}`);
    const listed = execFileSync('tar', ['--list', '--file', archive], { encoding: 'utf8' });
    expect(listed).toBe(`./manifest.json\n./${sha256(config)}.json\n./layer.tar\n`);
    const layer = execFileSync('tar', ['--extract', '--to-stdout', '--file', archive, './layer.tar'], {
      maxBuffer: 1e9,
    });
    expect(config).toContain(sha256(layer));
    docker('image', 'rm', 'vmbuild:test');
  });

  it('refuses an image whose config is not the one that the step names', async () => {
    const { request } = harness.step('true');
    const image = { ...harness.image, config: `${harness.image.config} ` };
    await expect(run({ ...request, image })).rejects.toMatchObject({ code: 'IMAGE_MISMATCH' });
  });

  it('refuses an image whose root is not the one that the config names', async () => {
    const image = { rootfs: harness.image.rootfs, config: configFor(sha256('another root')) };
    await expect(run(harness.step('true', { image }).request)).rejects.toMatchObject({
      code: 'IMAGE_MISMATCH',
      message: expect.stringContaining('refused'),
    });
  });

  it('refuses an image that declares volumes', async () => {
    const config = configFor(sha256('x'), { Volumes: { '/data': {} } });
    const image = { rootfs: harness.image.rootfs, config };
    await expect(run(harness.step('true', { image }).request)).rejects.toThrow('/data');
  });

  it('loads an image again that somebody removed', async () => {
    const executor = createDockerExecutor();
    const config = configFor(treeDigest(harness.image.rootfs, listTree(harness.image.rootfs, 'image')), {
      Labels: { gone: '1' },
    });
    const image = { rootfs: harness.image.rootfs, config };
    for (let round = 0; round < 2; round += 1) {
      expect(await executor.run(harness.step('true', { image }).request)).toEqual({ exitCode: 0, signal: null });
      docker('image', 'rm', '--force', `sha256:${sha256(config)}`);
    }
  });

  it('never records content that is not what its digest says', async () => {
    const tree = { ...harness.tree({ a: String(Date.now()) }), digest: sha256(`wrong ${Date.now()}`) };
    const { request } = harness.step('true', { inputs: { tree } });
    await expect(run(request)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    expect(objectsLabelled(`vmbuild.content=tree:${tree.digest}`)).toEqual({ containers: [], volumes: [] });
    const file = { ...harness.file('right'), digest: sha256(`wrong ${Date.now()}`) };
    await expect(run(harness.step('true', { inputs: { file } }).request)).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    });
  });

  it('fills a content once for two who need it at once, in one process or two', async () => {
    const tree = harness.tree({ a: String(Date.now()) });
    const step = () => harness.step('cat /in/tree/a', { inputs: { tree } });
    const steps = [step(), step(), step()];
    const shared = createDockerExecutor({ inputs: 'volumes' });
    const executors = [shared, shared, createDockerExecutor({ inputs: 'volumes' })];
    await Promise.all(steps.map(({ request }, index) => (executors[index] ?? shared).run(request)));
    expect(new Set(steps.map((step) => step.text())).size).toBe(1);
    // The content and its record.
    expect(objectsLabelled(`vmbuild.content=tree:${tree.digest}`).volumes.length).toBe(2);
  });

  it('makes a volume anew that was pruned, also behind the back of this process', async () => {
    const tree = harness.tree({ a: 'whole' });
    const executor = createDockerExecutor({ inputs: 'volumes' });
    const contents: string[] = [];
    for (const prune of [/^vmbuild-content-/, /^vmbuild-tree-/, /^vmbuild-/]) {
      const step = harness.step('cat /in/tree/a', { inputs: { tree } });
      expect(await executor.run(step.request)).toEqual({ exitCode: 0, signal: null });
      expect(step.text()).toBe('whole');
      const { volumes } = objectsLabelled(`vmbuild.content=tree:${tree.digest}`);
      contents.push(...volumes.filter((name) => name.startsWith('vmbuild-content-') && prune.test(name)));
      docker('volume', 'rm', ...volumes.filter((name) => prune.test(name)));
    }
    const step = harness.step('cat /in/tree/a', { inputs: { tree } });
    await executor.run(step.request);
    expect(step.text()).toBe('whole');
    // Nor is one of the empty volumes left by which the daemon replaced them.
    expect(contents.length).toBeGreaterThan(1);
    const present = docker('volume', 'ls', '--quiet').split('\n');
    expect(present.filter((name) => contents.includes(name))).toEqual([]);
  });

  it('does not use a volume of the right name that it did not fill', async () => {
    const tree = harness.tree({ a: `right ${Date.now()}` });
    docker('volume', 'create', `vmbuild-tree-${tree.digest}`);
    const step = harness.step('cat /in/tree/a', { inputs: { tree } });
    await run(step.request);
    expect(step.text()).toMatch(/^right/);
  });

  it('never uses what a killed vmbuild half filled, and removes it and its containers', async () => {
    const path = join(harness.folder, 'large');
    mkdirSync(path);
    writeFileSync(join(path, 'zeros'), `head ${Date.now()}`);
    truncateSync(join(path, 'zeros'), 300 * 1024 * 1024);
    const tree = { kind: 'tree', path, digest: treeDigest(path, listTree(path)) } as const;
    const label = `vmbuild.content=tree:${tree.digest}`;
    const filling = startChild(harness.step('true', { inputs: { tree } }).request);
    await until(() => objectsLabelled(label).volumes.length > 0);
    filling.kill('SIGKILL');
    await once(filling, 'close');
    const [half] = objectsLabelled(label).volumes;
    expect(half).toMatch(/^vmbuild-content-/);

    const sleeping = harness.step('sleep 1000');
    const running = startChild(sleeping.request);
    await until(() => docker('ps', '--quiet', '--filter', `label=vmbuild.step=${sleeping.request.name}`) !== '');
    const alive = createDockerExecutor();
    await alive.removeLeftovers();
    expect(objectsLabelled(`vmbuild.step=${sleeping.request.name}`).containers.length).toBe(1);
    running.kill('SIGKILL');
    await once(running, 'close');

    const step = harness.step('stat -c %s /in/tree/zeros; head -c 4 /in/tree/zeros', { inputs: { tree } });
    expect(await run(step.request)).toEqual({ exitCode: 0, signal: null });
    expect(step.text()).toBe('314572800\nhead');
    await alive.removeLeftovers();
    expect(objectsLabelled(`vmbuild.step=${sleeping.request.name}`)).toEqual({ containers: [], volumes: [] });
    const left = objectsLabelled(label).volumes;
    expect(left).not.toContain(half);
    expect(left.length).toBe(2);
    docker('volume', 'rm', ...left);
  });

  it('uses volumes for what would look different through a bind mount', async () => {
    const tree = harness.tree({ a: 'x' });
    chmodSync(tree.path, 0o700);
    const step = harness.step('stat -c %a /in/tree; cat /in/tree/a', { inputs: { tree } });
    await createDockerExecutor().run(step.request);
    expect(step.text()).toBe('755\nx');
  });
});

/** A vmbuild of its own that runs one step, to be killed. */
function startChild(request: StepRequest) {
  const { output: _, signal: __, ...rest } = request;
  const script = `
    import { createDockerExecutor } from ${JSON.stringify(SOURCE)};
    const signal = new AbortController().signal;
    await createDockerExecutor({ inputs: 'volumes' }).run({ ...${JSON.stringify(rest)}, output: process.stdout, signal });`;
  return spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'ignore' });
}
