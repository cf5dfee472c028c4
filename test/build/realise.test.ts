import { spawn } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import type { Executor } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import type { RealisedStep } from '../../src/build/realised.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { isDigest, sha256 } from '../../src/model/digest.ts';
import { readTargetRecord } from '../../src/store/realisations.ts';
import { buildSuite, cannotBuild, fixture, REPOSITORY, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { failure, scratchOf, fileRecipe } from './realising.ts';

const CHAIN = {
  'low/recipe.ts': fileRecipe({ env: { FLAG: 'a' } }),
  'low/build.sh': 'echo same >/out/file\n',
  'middle/recipe.ts': scriptRecipe('cp /in/low/file /out/copy', { inputs: { low: 'low' } }),
  'top/recipe.ts': scriptRecipe('cat /in/middle/copy /in/middle/copy >/out/twice', { inputs: { middle: 'middle' } }),
};

describe.skipIf(cannotBuild !== undefined)(buildSuite('realising'), () => {
  it('builds a graph from inputs to targets, and nothing the second time', async () => {
    const store = await storeWithImage();
    const project = await fixture(CHAIN);
    const first = await run(project, ['top'], { store });
    expect(first.executed).toEqual(['low', 'middle', 'top']);
    expect(await readFile(join(first.results.at(-1)?.path ?? '', 'twice'), 'utf8')).toBe('same\nsame\n');
    const second = await run(project, ['top'], { store });
    expect(second.executed).toEqual([]);
    expect(second.results.map(({ how }) => how)).toEqual(['reused', 'reused', 'reused']);
    expect(second.events.map(({ type }) => type)).toEqual(['planned', ...Array<string>(3).fill('step-finished')]);
    expect(await scratchOf(store)).toEqual([]);
  });

  it('names an artifact by what lies in the store', async () => {
    const store = await storeWithImage();
    const { results } = await run(await fixture(CHAIN), ['low'], { store });
    const [low] = results;
    expect(treeDigest(low?.path ?? '', listTree(low?.path ?? ''))).toBe(low?.artifact);
    expect(low?.statement.subject.map(({ name, digest }) => [name, digest.sha256])).toEqual([
      ['artifact', low?.artifact],
      ['file', sha256('same\n')],
    ]);
  });

  it.each([
    ['a comment in build.sh', 'low/build.sh', `# a comment\n${CHAIN['low/build.sh']}`],
    ['a flag that changes nothing', 'low/recipe.ts', fileRecipe({ env: { FLAG: 'b' } })],
  ])('executes nothing further when the same bytes come out again: %s', async (_what, path, content) => {
    const store = await storeWithImage();
    await run(await fixture(CHAIN), ['top'], { store });
    const { executed, events } = await run(await fixture({ ...CHAIN, [path]: content }), ['top'], { store });
    expect(executed).toEqual(['low']);
    expect(events.filter(({ type }) => type === 'step-finished')).toMatchObject([
      { target: 'low', how: 'built' },
      { target: 'middle', how: 'reused' },
      { target: 'top', how: 'reused' },
    ]);
    expect(events[0]).toMatchObject({
      type: 'planned',
      steps: [{ decision: 'build' }, { decision: 'depends' }, { decision: 'depends' }],
    });
  });

  it('executes what depends on other bytes', async () => {
    const store = await storeWithImage();
    await run(await fixture(CHAIN), ['top'], { store });
    const { executed } = await run(await fixture({ ...CHAIN, 'low/build.sh': 'echo other >/out/file' }), ['top'], {
      store,
    });
    expect(executed).toEqual(['low', 'middle', 'top']);
  });

  it('goes back to an older result when a recipe goes back', async () => {
    const store = await storeWithImage();
    const [one, other] = [await fixture(CHAIN), await fixture({ ...CHAIN, 'low/build.sh': 'echo other >/out/file' })];
    const first = await run(one, ['low'], { store });
    await run(other, ['low'], { store });
    expect((await run(one, ['low'], { store })).executed).toEqual([]);
    expect((await readTargetRecord(store, 'low'))?.built?.buildKey).toBe(first.results[0]?.buildKey);
  });

  it('executes targets again if told to rebuild them, and with "graph" all that they need', async () => {
    const store = await storeWithImage();
    const project = await fixture(CHAIN);
    await run(project, ['top'], { store });
    const targets = await run(project, ['top'], { store, rebuild: 'targets' });
    expect(targets.executed).toEqual(['top']);
    expect(targets.results.map(({ how }) => how)).toEqual(['reused', 'reused', 'rebuilt']);
    expect((await run(project, ['top'], { store, rebuild: 'graph' })).executed).toEqual(['low', 'middle', 'top']);
  });

  it('refuses other bytes than are on record, even where the recorded artifact is gone', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('head -c 20 /dev/urandom >/out/random') });
    const { results } = await run(project, ['one'], { store });
    const first = results[0] as RealisedStep;
    await rm(first.path, { recursive: true });
    const error = await failure(run(project, ['one'], { store }));
    expect(error).toMatchObject({ code: 'NOT_REPRODUCED', step: 'one' });
    expect(error.message).toContain(first.artifact);
    expect((await readTargetRecord(store, 'one'))?.last.outcome).toBe('failed');
    // The record is as it was: a third try is refused as well.
    expect(await failure(run(project, ['one'], { store }))).toMatchObject({ code: 'NOT_REPRODUCED' });
  });

  it('says so when a rebuild gives other bytes, and keeps both', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('head -c 20 /dev/urandom >/out/random') });
    const { results } = await run(project, ['one'], { store });
    const before = results[0]?.artifact ?? '';
    const error = await failure(run(project, ['one'], { store, rebuild: 'targets' }));
    expect(error).toMatchObject({ code: 'NOT_REPRODUCED', step: 'one', log: 'vmbuild log one' });
    expect(error.message).toContain(before);
    const artifacts = await readdir(join(store.layout.root, 'artifacts'));
    expect(artifacts.length).toBe(2);
    for (const digest of artifacts.filter(isDigest)) expect(error.hints.join()).toContain(store.layout.tree(digest));
    // The recorded one stays the result.
    expect((await run(project, ['one'], { store })).results[0]?.artifact).toBe(before);
  });

  it('builds one key once, though two targets and two callers want it', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'one/recipe.ts': scriptRecipe('sleep 0.5; echo x >/out/x'),
      'two/recipe.ts': scriptRecipe('sleep 0.5; echo x >/out/x'),
    });
    const runs = await Promise.all([run(project, ['one', 'two'], { store }), run(project, ['two', 'one'], { store })]);
    expect(runs.flatMap(({ executed }) => executed).length).toBe(1);
    expect(new Set(runs.flatMap(({ results }) => results.map(({ artifact }) => artifact))).size).toBe(1);
    expect(runs.flatMap(({ events }) => events.filter(({ type }) => type === 'step-waiting')).length).toBeGreaterThan(
      0,
    );
  });

  it('builds one key once in two processes at once', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('sleep 1; echo x >/out/x') });
    const started = await Promise.all(
      [1, 2].map(async () => {
        const options = ['--recipes', project.root.recipes, '--store', store.layout.root, 'realize', 'one', '--json'];
        const child = spawn(join(REPOSITORY, 'bin', 'vmbuild'), options, { stdio: ['ignore', 'pipe', 'inherit'] });
        const lines = (await text(child.stdout)).trimEnd().split('\n');
        return lines.map((line) => JSON.parse(line) as BuildEvent | { type: 'result' });
      }),
    );
    expect(started.flat().filter(({ type }) => type === 'step-started').length).toBe(1);
    expect(started.map((events) => events.at(-1)?.type)).toEqual(['result', 'result']);
  });

  it.each([
    ['is cut off', async (path: string) => writeFile(path, (await readFile(path, 'utf8')).slice(0, 300))],
    [
      'is of another build key',
      async (path: string) => {
        const content = await readFile(path, 'utf8');
        await writeFile(path, content.replace(/("buildKey": )"[0-9a-f]{64}"/, `$1"${sha256('other')}"`));
      },
    ],
    ['is gone', (path: string) => rm(path)],
    ['has no artifact any more', (path: string) => rm(join(path, '..', '..', 'artifacts'), { recursive: true })],
  ])('builds again what the store only half knows: the record %s', async (_what, spoil) => {
    const store = await storeWithImage();
    const project = await fixture(CHAIN);
    const { results } = await run(project, ['low'], { store });
    await spoil(store.layout.realisation(results[0]?.buildKey ?? sha256('')));
    const again = await run(project, ['low'], { store });
    expect(again.executed).toEqual(['low']);
    expect(again.results[0]?.artifact).toBe(results[0]?.artifact);
    expect((await run(project, ['low'], { store })).executed).toEqual([]);
  });

  it('with one job runs one step at a time, the longest way first', async () => {
    const store = await storeWithImage();
    const files = {
      'quick/recipe.ts': scriptRecipe('echo 1 >/out/x'),
      'slow/recipe.ts': scriptRecipe('sleep 1; echo 2 >/out/x'),
      'middling/recipe.ts': scriptRecipe('sleep 0.4; echo 3 >/out/x'),
      'all/recipe.ts': scriptRecipe('cat /in/*/x >/out/x', { inputs: { q: 'quick', m: 'middling', s: 'slow' } }),
    };
    await run(await fixture(files), ['all'], { store });
    const changed = Object.fromEntries(
      Object.entries(files).map(([path, recipe]) => [path, recipe.replaceAll('x"]', 'y"]')]),
    );
    changed['all/recipe.ts'] = scriptRecipe('cat /in/*/y >/out/x', {
      inputs: { q: 'quick', m: 'middling', s: 'slow' },
    });
    const order: string[] = [];
    const namespaces = createNamespaceExecutor();
    const executor: Executor = {
      ...namespaces,
      run: async (request) => {
        order.push('begin');
        const result = await namespaces.run(request);
        order.push('end');
        return result;
      },
    };
    const { executed } = await run(await fixture(changed), ['all'], { store, jobs: 1, executor });
    expect(executed).toEqual(['slow', 'middling', 'quick', 'all']);
    expect(order).toEqual(Array.from({ length: 4 }, () => ['begin', 'end']).flat());
  });
});
