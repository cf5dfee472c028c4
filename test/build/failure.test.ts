import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import type { Executor } from '../../src/executors/executor.ts';
import { realise } from '../../src/build/realise.ts';
import { sha256 } from '../../src/model/digest.ts';
import { VmbuildError } from '../../src/model/errors.ts';
import { buildSuite, cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { logOf, failure, scratchOf } from './realising.ts';

describe.skipIf(cannotBuild !== undefined)(buildSuite('a step that fails'), () => {
  it('is shown with its last lines, its log and what to do', async () => {
    const store = await storeWithImage();
    const script = 'for i in {1..50}; do echo line $i; done; printf "\\033[31mred\\033[0m\\n" >&2; exit 7';
    const events: BuildEvent[] = [];
    const error = await failure(
      run(await fixture({ 'one/recipe.ts': scriptRecipe(script) }), ['one'], { store, events }),
    );
    expect(error).toMatchObject({ code: 'BUILD_FAILED', step: 'one', log: 'vmbuild log one' });
    expect(error.message).toBe('one failed with exit code 7');
    expect(error.excerpt.slice(-2)).toEqual(['line 50', 'red']);
    expect(error.hints.join()).toContain('--keep-failed');
    expect(await logOf(store, 'one')).toBe(
      `${Array.from({ length: 50 }, (_, index) => `line ${index + 1}\n`).join('')}\x1b[31mred\x1b[0m\n`,
    );
    expect(events.at(-1)).toMatchObject({ type: 'step-failed', target: 'one', code: 'BUILD_FAILED' });
    expect(await scratchOf(store)).toEqual([]);
    expect((await readdir(store.layout.root)).includes('realisations')).toBe(false);
  });

  it('may be a program that is not there', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('', { command: ['nosuchprogram'] }) });
    const error = await failure(run(project, ['one'], { store }));
    expect(error).toMatchObject({ code: 'BUILD_FAILED', step: 'one' });
    expect(error.excerpt.join()).toContain('nosuchprogram');
  });

  it.each([
    ['nothing in /out', 'true', /left nothing in \/out/],
    ['an absolute link', 'ln -s /etc/passwd /out/l', /"l" is an absolute link to "\/etc\/passwd"/],
    ['a link that leads out', 'mkdir /out/d; ln -s ../../x /out/d/l', /"d\/l" is a link that leads out of the tree/],
    ['a setuid program', 'echo >/out/s; chmod 4755 /out/s', /"s" has a setuid or setgid bit/],
    ['a setgid folder', 'mkdir /out/s; chmod 2755 /out/s', /"s" has a setuid or setgid bit/],
    ['a pipe', 'mkfifo /out/p', /"p" is a special file/],
    ['a name that is not UTF-8', "echo >$'/out/n\\xff'", /not UTF-8/],
  ])('because of its output is told what of it: %s', async (_what, script, message) => {
    const store = await storeWithImage();
    const error = await failure(run(await fixture({ 'one/recipe.ts': scriptRecipe(script) }), ['one'], { store }));
    expect(error).toMatchObject({ code: 'OUTPUT_INVALID', step: 'one', log: 'vmbuild log one' });
    expect(error.message).toMatch(message);
    expect(await scratchOf(store)).toEqual([]);
    expect(
      (await readdir(store.layout.root)).filter((name) => name === 'artifacts' || name === 'realisations'),
    ).toEqual([]);
  });

  it.each(['/in/x', '/recipe/x', '/usr/bin/x', '/dev/x', '/x'])('because it writes to %s', async (path) => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe(`echo >/out/x; echo x >${path}`) });
    expect((await failure(run(project, ['one'], { store }))).excerpt.join()).toMatch(/Read-only file system/);
  });

  it('does not stop what runs already, and nothing starts after it', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'bad/recipe.ts': scriptRecipe('sleep 0.3; exit 1'),
      'good/recipe.ts': scriptRecipe('sleep 1; echo good >/out/x'),
      'later/recipe.ts': scriptRecipe('echo later >/out/x'),
      'above/recipe.ts': scriptRecipe('cp /in/b/x /out', { inputs: { b: 'bad' } }),
    });
    const events: BuildEvent[] = [];
    const error = await failure(run(project, ['bad', 'good', 'later', 'above'], { store, events }));
    expect(error).toMatchObject({ code: 'BUILD_FAILED', step: 'bad' });
    const told = (type: string) =>
      events.flatMap((event) => (event.type === type && 'target' in event ? [event.target] : []));
    expect(told('step-started').sort()).toEqual(['bad', 'good']);
    expect(told('step-finished')).toEqual(['good']);
    expect(told('step-failed')).toEqual(['bad']);
    expect((await run(project, ['good'], { store })).executed).toEqual([]);
  });

  it('is told of even if another failed before', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'one/recipe.ts': scriptRecipe('exit 1'),
      'two/recipe.ts': scriptRecipe('sleep 0.5; exit 2'),
    });
    const events: BuildEvent[] = [];
    expect(await failure(run(project, ['one', 'two'], { store, events }))).toMatchObject({ step: 'one' });
    expect(events.flatMap((event) => (event.type === 'step-failed' ? [event.target] : []))).toEqual(['one', 'two']);
  });

  it('keeps its files if asked to', async () => {
    const store = await storeWithImage();
    const project = await fixture({
      'one/recipe.ts': scriptRecipe('echo half >/build/half; echo out >/out/x; exit 1'),
    });
    const error = await failure(run(project, ['one'], { store, keepFailed: true }));
    const kept = /kept in (.*)\.$/m.exec(error.hints.join('\n'))?.[1] ?? '';
    expect(await readFile(join(kept, 'build', 'half'), 'utf8')).toBe('half\n');
    expect(await readFile(join(kept, 'out', 'x'), 'utf8')).toBe('out\n');
    expect(await scratchOf(store)).toEqual([]);
  });

  it('names the step even if the fault is nobody’s that was thought of', async () => {
    const store = await storeWithImage();
    const broken: Executor = {
      name: 'namespace',
      probe: () => Promise.resolve({ available: true }),
      limits: () => Promise.reject(new Error('not asked for')),
      run: () => Promise.reject(new Error('this executor is broken')),
    };
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('true') });
    const error = await failure(run(project, ['one'], { store, executor: broken }));
    expect(error).toMatchObject({ code: 'INTERNAL', step: 'one', message: 'this executor is broken' });
  });

  it('says that the system refused something to the executor', async () => {
    const store = await storeWithImage();
    const broken: Executor = {
      name: 'namespace',
      probe: () => Promise.resolve({ available: true }),
      limits: () => Promise.reject(new Error('not asked for')),
      run: () => Promise.reject(Object.assign(new Error('spawn unshare EAGAIN'), { code: 'EAGAIN' })),
    };
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('true') });
    const error = await failure(run(project, ['one'], { store, executor: broken }));
    expect(error).toMatchObject({ code: 'EXECUTOR_FAILED', step: 'one' });
  });

  it('asks for the executor before it downloads anything', async () => {
    const store = await storeWithImage();
    const sources = { s: { type: 'https', urls: ['https://example.invalid/x'], sha256: sha256('x') } };
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('true', { sources }) });
    const events: BuildEvent[] = [];
    const steps = [await project.evaluator().evaluate('one')];
    const running = realise(steps, {
      store,
      fetch: { sourceDirs: [], debianMirrors: [], offline: true },
      jobs: 1,
      cores: 1,
      rebuild: 'nothing',
      keepFailed: false,
      vmbuildVersion: 'test',
      signal: new AbortController().signal,
      emit: (event) => events.push(event),
      executor: () => Promise.reject(new VmbuildError('EXECUTOR_UNAVAILABLE', 'none here')),
    });
    expect(await failure(running)).toMatchObject({ code: 'EXECUTOR_UNAVAILABLE' });
    expect(events.map(({ type }) => type)).toEqual(['planned']);
  });

  it('names the step if its source cannot be had', async () => {
    const store = await storeWithImage();
    const sources = { s: { type: 'https', urls: ['https://example.invalid/x'], sha256: sha256('x') } };
    const events: BuildEvent[] = [];
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('true', { sources }) });
    const error = await failure(run(project, ['one'], { store, events }));
    expect(error.code).toBe('SOURCE_UNAVAILABLE');
    expect(error.step).toBe('one');
    expect(events.at(-1)).toMatchObject({ type: 'step-failed', target: 'one', code: 'SOURCE_UNAVAILABLE' });
  });
});
