import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import type { Executor } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import type { VmbuildError } from '../../src/model/errors.ts';
import { cliFor } from '../cli/cli.ts';
import { buildSuite, cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { processesWith, uniqueMarker } from '../support/processes.ts';

/** The namespace executor on a machine where it cannot keep one limit. */
function withoutMemoryLimit(): Executor {
  const executor = createNamespaceExecutor();
  const limits = async (): ReturnType<Executor['limits']> => ({
    ...(await executor.limits()),
    memory: { kept: 'no', how: 'there is nothing to keep it with' },
  });
  return { ...executor, limits };
}

const failure = (running: Promise<unknown>): Promise<VmbuildError> =>
  running.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as VmbuildError,
  );

describe.skipIf(cannotBuild !== undefined)(buildSuite('limits of a step'), () => {
  it('change neither derivation nor build key, and rebuild nothing', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('echo x >/out/x') });
    const first = await run(project, ['one'], { store });
    await project.write(
      'one/recipe.ts',
      scriptRecipe('echo x >/out/x', { limits: { wall: '1h', memory: '1GiB', log: 'none' } }),
    );
    const second = await run(project, ['one'], { store, limits: { pids: 100 } });
    expect(second.executed).toEqual([]);
    expect(second.results[0]?.step.hash).toBe(first.results[0]?.step.hash);
    expect(second.results[0]?.buildKey).toBe(first.results[0]?.buildKey);
  });

  it('give no artifact to a step that runs into one, keep its log, and leave no process; with more it is built', async () => {
    const store = await storeWithImage();
    const marker = uniqueMarker();
    const script = `echo begun; echo x >/out/x; setsid sleep 1000.${marker.replaceAll(/\D/g, '')} & test -e /in/fast || sleep 2; echo done`;
    const project = await fixture({
      'one/recipe.ts': scriptRecipe(script, { limits: { wall: '0.5s' } }),
      'after/recipe.ts': scriptRecipe('cp /in/one/x /out/x', { inputs: { one: 'one' } }),
    });
    const events: BuildEvent[] = [];
    const error = await failure(run(project, ['after'], { store, events }));
    expect(error).toMatchObject({ code: 'LIMIT_WALL', step: 'one', log: 'vmbuild log one', excerpt: ['begun'] });
    expect(error.hints.join('\n')).toContain('--limit wall=');
    expect(events.at(-1)?.type).toBe('step-failed');
    expect(processesWith(marker.replaceAll(/\D/g, ''))).toEqual([]);
    expect(await readdir(join(store.layout.root, 'artifacts')).catch(() => [])).toEqual([]);
    expect((await run(project, ['after'], { store, limits: { wall: 60 } })).executed).toEqual(['one', 'after']);
  });

  it.each([
    ['one large sparse file', 'dd if=/dev/zero of=/out/sparse bs=1 count=0 seek=1T', /"sparse" has 1\.0 TiB/],
    ['many files', 'for i in {1..200}; do printf %0300000d 0 >/out/$i; done', /and makes it/],
    [
      'many names of one file',
      'printf %020000000d 0 >/out/0; for i in {1..9}; do ln /out/0 /out/$i; done',
      /"\d" has 19/,
    ],
  ])('output: %s', async (_what, script, message) => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe(script, { limits: { output: '50MiB' } }) });
    const error = await failure(run(project, ['one'], { store }));
    expect(error).toMatchObject({ code: 'LIMIT_OUTPUT', step: 'one' });
    expect(error.message).toMatch(message);
    expect(error.hints.join('\n')).toContain('--limit output=');
    expect(await readdir(store.layout.temporary)).toEqual([]);
  });

  it('output: a terabyte is too much for every step that does not ask for it', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('dd if=/dev/zero of=/out/s bs=1 count=0 seek=1T') });
    expect(await failure(run(project, ['one'], { store }))).toMatchObject({ code: 'LIMIT_OUTPUT' });
  });

  it('refuse a recipe that requires what the executor cannot keep, before anything has run', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'first/recipe.ts': scriptRecipe('echo x >/out/x'),
      'one/recipe.ts': scriptRecipe('echo y >/out/x', { limits: { memory: '1GiB' } }),
      'both/recipe.ts': scriptRecipe('echo x >/out/x', { inputs: { first: 'first', one: 'one' } }),
    });
    const events: BuildEvent[] = [];
    const executor = withoutMemoryLimit();
    const error = await failure(run(project, ['both'], { store, events, executor }));
    expect(error).toMatchObject({ code: 'LIMIT_UNENFORCEABLE', step: 'one' });
    expect(error.message).toContain('there is nothing to keep it with');
    expect(events.map(({ type }) => type)).toEqual(['planned']);
    expect((await run(project, ['both'], { store, executor, limits: { memory: 'none' } })).executed).toContain('one');
  });

  it('only warn, once, of what a flag asks for and the executor cannot keep', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'one/recipe.ts': scriptRecipe('echo x >/out/x', { limits: { memory: '1GiB' } }),
      'two/recipe.ts': scriptRecipe('echo y >/out/x', { inputs: { one: 'one' } }),
    });
    const { events, executed } = await run(project, ['two'], {
      store,
      executor: withoutMemoryLimit(),
      limits: { memory: 2 ** 30, pids: 1000 },
    });
    expect(executed).toEqual(['one', 'two']);
    expect(events.filter(({ type }) => type === 'limit-not-kept')).toEqual([
      { type: 'limit-not-kept', limit: 'memory', executor: 'namespace', reason: 'there is nothing to keep it with' },
    ]);
  });

  it.each([
    [{ wall: '2 fortnights' }, 'limits: wall must be'],
    [{ memory: 'much' }, 'limits: memory must be'],
    [{ time: '2h' }, 'limits.time'],
    [{ pids: 7 }, 'limits.pids'],
  ])('that make no sense are named with file and field: %j', async (limits, message) => {
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('true', { limits }) });
    const error = await failure(project.evaluator().evaluate('one'));
    expect(error.code).toBe('RECIPE_INVALID');
    expect(error.message).toContain('one/recipe.ts: ');
    expect(error.message).toContain(message);
  });

  it('can be given on the command line', async () => {
    const project = await fixture({
      'one/recipe.ts': scriptRecipe('sleep 30', { limits: { wall: '1h' } }),
    });
    const cli = await cliFor(project);
    const ended = await cli.run('realize', 'one', '--limit', 'wall=0.5s,memory=1GiB', '--limit', 'memory=none');
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('LIMIT_WALL');
    for (const wrong of ['wall', 'wall=', 'time=2h', 'wall=2', '']) {
      const refused = await cli.run('realize', 'one', '--limit', wrong);
      expect({ wrong, code: refused.code, usage: refused.stderr.includes('USAGE') }).toEqual({
        wrong,
        code: 2,
        usage: true,
      });
    }
  });
});
