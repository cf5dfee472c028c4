import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import type { Store } from '../../src/store/openStore.ts';
import { createCacheServer } from '../../src/substituters/serve.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { trusting } from '../attest/statements.ts';
import { buildSuite, cannotBuild, type Fixture, run, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cacheAt, counting, noExecutor, pushAll, romProject, substituteFrom } from './sharing.ts';

const alice = generateSigningKey();
const bob = generateSigningKey();
const trustAlice = trusting([alice]);
const trustBoth = trusting([alice, bob]);

/** A store in which the rom was built, and a cache in a folder that it was pushed to. */
async function shared(key = alice): Promise<{
  readonly project: Fixture;
  readonly store: Store;
  readonly folder: string;
  readonly url: string;
}> {
  const project = await romProject();
  const store = await storeWithImage();
  await run(project, ['rom'], { store });
  const folder = await temporary();
  const url = `file://${folder}`;
  await pushAll(project, ['rom'], store, cacheAt(url), key);
  return { project, store, folder, url };
}

const artifactsIn = (store: Store): readonly string[] => readdirSync(join(store.layout.root, 'artifacts'));

describe.skipIf(cannotBuild !== undefined)(buildSuite('a folder as cache'), () => {
  it('gives another store the target alone, after one question for the whole graph, and nothing the second time', async () => {
    const { project, url } = await shared();
    const other = await storeWithImage();
    const cache = counting(cacheAt(url));
    const { results, executed } = await run(project, ['rom'], {
      store: other,
      executor: noExecutor,
      substitution: substituteFrom([cache], trustAlice),
    });
    expect(executed).toEqual([]);
    expect(results.map(({ how }) => how)).toEqual(['skipped', 'skipped', 'fetched']);
    expect(readFileSync(join(results.at(-1)?.path as string, 'rom.bin'), 'utf8')).toBe('tool\nkernel\nrom\n');
    expect(artifactsIn(other)).toEqual([results.at(-1)?.artifact]);
    expect(cache.asked).toEqual([
      expect.stringMatching(/^by-derivation\//),
      `artifacts/${results.at(-1)?.artifact}.tar.zst`,
    ]);

    const again = counting(cacheAt(url));
    const second = await run(project, ['rom'], {
      store: other,
      executor: noExecutor,
      substitution: substituteFrom([again], trustAlice),
    });
    expect(second.results.map(({ how }) => how)).toEqual(['skipped', 'skipped', 'reused']);
    expect(again.asked).toEqual([]);
    // Also without any cache: what is on record was signed.
    const alone = await run(project, ['rom'], {
      store: other,
      executor: noExecutor,
      substitution: substituteFrom([], trustAlice),
    });
    expect(alone.executed).toEqual([]);
  });

  it('gives the inputs of what is new, and leaves out what those were made of', async () => {
    const { url } = await shared();
    const project = await romProject({ rom: 'new' });
    const other = await storeWithImage();
    const { results, executed } = await run(project, ['rom'], {
      store: other,
      substitution: substituteFrom([cacheAt(url)], trustAlice),
    });
    expect(executed).toEqual(['rom']);
    expect(results.map(({ how }) => how)).toEqual(['skipped', 'fetched', 'built']);
    expect(readFileSync(join(results[2]?.path as string, 'rom.bin'), 'utf8')).toBe('tool\nkernel\nnew\n');
  });

  it('builds what a cache has lost, from what it has', async () => {
    const { project, folder, url } = await shared();
    const other = await storeWithImage();
    const probe = await run(project, ['rom'], {
      store: await storeWithImage(),
      substitution: substituteFrom([cacheAt(url)], trustAlice),
    });
    const [, kernel, rom] = probe.results;
    rmSync(join(folder, 'artifacts', `${rom?.artifact}.tar.zst`));
    rmSync(join(folder, 'artifacts', `${kernel?.artifact}.tar.zst`));
    const { results, executed } = await run(project, ['rom'], {
      store: other,
      substitution: substituteFrom([cacheAt(url)], trustAlice),
    });
    expect(executed).toEqual(['kernel', 'rom']);
    expect(results.map(({ how }) => how)).toEqual(['fetched', 'built', 'built']);
    expect(results[2]?.artifact).toBe(rom?.artifact);
  });

  it('takes nothing on the word of a stranger', async () => {
    const { project, url } = await shared(bob);
    const { executed } = await run(project, ['rom'], {
      store: await storeWithImage(),
      substitution: substituteFrom([cacheAt(url)], trustAlice),
    });
    expect(executed).toEqual(['tool', 'kernel', 'rom']);
  });

  it('forgets what it took as soon as its signer is trusted no more', async () => {
    const { project, url } = await shared();
    const other = await storeWithImage();
    await run(project, ['rom'], { store: other, substitution: substituteFrom([cacheAt(url)], trustAlice) });
    const { executed } = await run(project, ['rom'], {
      store: other,
      substitution: substituteFrom([], trusting([bob])),
    });
    expect(executed).toEqual(['tool', 'kernel', 'rom']);
  });

  it('with --substitute-only it executes nothing, and says what is missing', async () => {
    const { url } = await shared();
    const project = await romProject({ rom: 'new' });
    const only = run(project, ['rom'], {
      store: await storeWithImage(),
      executor: noExecutor,
      substitution: substituteFrom([cacheAt(url)], trustAlice, { only: true }),
    });
    await expect(only).rejects.toMatchObject({ code: 'NOT_SUBSTITUTED', step: 'rom' });
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('need: 2'), () => {
  it('takes a step only after two builds of different signers, each of them for every step', async () => {
    const { project, url } = await shared(alice);
    const trust = { ...trustBoth, need: 2 };
    const first = await run(project, ['rom'], {
      store: await storeWithImage(),
      substitution: substituteFrom([cacheAt(url)], trust),
    });
    expect(first.executed).toEqual(['tool', 'kernel', 'rom']);

    // Somebody who took all of it from the first one and pushes it on adds nothing.
    const passing = await storeWithImage();
    await run(project, ['rom'], { store: passing, substitution: substituteFrom([cacheAt(url)], trustAlice) });
    const passedOn = await pushAll(project, ['rom'], passing, cacheAt(url), bob, trustAlice);
    expect(passedOn.signed).toBe(0);
    const second = await run(project, ['rom'], {
      store: await storeWithImage(),
      substitution: substituteFrom([cacheAt(url)], trust),
    });
    expect(second.executed).toEqual(['tool', 'kernel', 'rom']);

    // One who builds only the last step with what the first has made vouches for that step alone.
    const half = await storeWithImage();
    await run(project, ['kernel'], { store: half, substitution: substituteFrom([cacheAt(url)], trustAlice) });
    await run(project, ['rom'], { store: half, substitution: substituteFrom([], trustAlice) });
    expect((await pushAll(project, ['rom'], half, cacheAt(url), bob, trustAlice)).signed).toBe(1);
    const third = await run(project, ['rom'], {
      store: await storeWithImage(),
      substitution: substituteFrom([cacheAt(url)], trust),
    });
    expect(third.executed).toEqual(['tool', 'kernel']);

    const whole = await storeWithImage();
    await run(project, ['rom'], { store: whole });
    expect((await pushAll(project, ['rom'], whole, cacheAt(url), bob)).signed).toBe(3);
    const last = await run(project, ['rom'], {
      store: await storeWithImage(),
      executor: noExecutor,
      substitution: substituteFrom([cacheAt(url)], trust),
    });
    expect(last.executed).toEqual([]);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('builders who disagree'), () => {
  /** A step that gives other bytes each time, pushed by both. */
  async function disagreeing(): Promise<{ readonly project: Fixture; readonly url: string; readonly store: Store }> {
    const project = await romProject({ tool: 'cat /proc/sys/kernel/random/uuid > /out/tool' });
    const url = `file://${await temporary()}`;
    const stores = [];
    for (const key of [alice, bob]) {
      const store = await storeWithImage();
      stores.push(store);
      await run(project, ['rom'], { store });
      await pushAll(project, ['rom'], store, cacheAt(url), key);
    }
    return { project, url, store: stores[0] as Store };
  }

  it('stop a build, with both shown and nothing taken', async () => {
    const { project, url } = await disagreeing();
    const other = await storeWithImage();
    const failing = run(project, ['rom'], { store: other, substitution: substituteFrom([cacheAt(url)], trustBoth) });
    await expect(failing).rejects.toMatchObject({ code: 'STATEMENT_CONFLICT', step: 'tool' });
    await expect(failing).rejects.toThrow(/signer1[\s\S]*signer2/);
    expect(existsSync(join(other.layout.root, 'artifacts'))).toBe(false);
  });

  it('stop after an own build, if it is the own build that differs from one who alone is not enough', async () => {
    const { project, url } = await disagreeing();
    const other = await storeWithImage();
    const failing = run(project, ['rom'], {
      store: other,
      substitution: substituteFrom([cacheAt(url)], { ...trustAlice, need: 2 }),
    });
    await expect(failing).rejects.toMatchObject({ code: 'STATEMENT_CONFLICT', step: 'tool' });
  });

  it('cannot push what the same key has already said otherwise', async () => {
    const { project, url } = await disagreeing();
    const store = await storeWithImage();
    await run(project, ['rom'], { store });
    await expect(pushAll(project, ['rom'], store, cacheAt(url), alice)).rejects.toMatchObject({
      code: 'STATEMENT_CONFLICT',
    });
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild cache serve'), () => {
  it('takes a push and gives it to others; a second push writes nothing', async () => {
    const project = await romProject();
    const store = await storeWithImage();
    await run(project, ['rom'], { store });
    const root = await temporary();
    const server = createCacheServer({
      root,
      writeToken: 'a-token-of-the-test',
      maxSize: 1 << 30,
      signal: new AbortController().signal,
      onError: (message) => {
        throw new Error(message);
      },
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await expect(pushAll(project, ['rom'], store, cacheAt(url), alice)).rejects.toMatchObject({
        code: 'CACHE_DENIED',
      });
      await expect(pushAll(project, ['rom'], store, cacheAt(url, 'a-wrong-one'), alice)).rejects.toMatchObject({
        code: 'CACHE_DENIED',
      });
      const first = await pushAll(project, ['rom'], store, cacheAt(url, 'a-token-of-the-test'), alice);
      expect(first).toMatchObject({ written: 3, present: 0, signed: 3 });
      const second = await pushAll(project, ['rom'], store, cacheAt(url, 'a-token-of-the-test'), alice);
      expect(second).toMatchObject({ written: 0, present: 3 });

      const other = await storeWithImage();
      const { results } = await run(project, ['rom', 'kernel', 'tool'], {
        store: other,
        executor: noExecutor,
        substitution: substituteFrom([cacheAt(url)], trustAlice),
      });
      expect(results.map(({ how }) => how)).toEqual(['fetched', 'fetched', 'fetched']);
      for (const { path, artifact } of results) expect(treeDigest(path, listTree(path))).toBe(artifact);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('what is not pushed'), () => {
  it('is what vendor blobs restrict', async () => {
    const { project, store } = await shared();
    const evaluator = project.evaluator();
    const step = await evaluator.evaluate('kernel');
    const { planSteps } = await import('../../src/build/plan.ts');
    const { push } = await import('../../src/build/push.ts');
    const [tool, kernel] = await planSteps([step], store);
    const url = `file://${await temporary()}`;
    const leftOut: string[] = [];
    const restricted = { ...kernel, step: { ...step, licence: 'may-be-cached' } } as typeof kernel;
    const summary = await push([restricted?.step ?? step], [tool, restricted] as never, {
      store,
      cache: cacheAt(url),
      key: alice,
      sources: false,
      allowDiffers: false,
      trust: trustAlice,
      signal: new AbortController().signal,
      onPushed: () => {},
      onLeftOut: (what, why) => leftOut.push(`${what}: ${why}`),
    });
    expect(summary).toMatchObject({ written: 1, signed: 1 });
    expect(leftOut).toEqual([expect.stringMatching(/^kernel: made with vendor blobs: may-be-cached/)]);
    const kernelKey = kernel?.buildKey as string;
    expect(existsSync(join(url.slice('file://'.length), 'statements', kernelKey))).toBe(false);
  });

  it('is what the store has damaged', async () => {
    const { project, store } = await shared();
    const { results } = await run(project, ['tool'], { store });
    writeFileSync(join(results[0]?.path as string, 'tool'), 'Tool\n');
    const failing = pushAll(project, ['tool'], store, cacheAt(`file://${await temporary()}`), alice);
    await expect(failing).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });
});
