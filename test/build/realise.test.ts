import { execFileSync, spawn } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import type { Executor } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import { realise } from '../../src/build/realise.ts';
import type { RealisedStep } from '../../src/build/realised.ts';
import { acquireLock } from '../../src/io/lock.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { isDigest, sha256 } from '../../src/model/digest.ts';
import { VmbuildError } from '../../src/model/errors.ts';
import { readLog } from '../../src/store/logs.ts';
import type { Store } from '../../src/store/openStore.ts';
import { readTargetRecord } from '../../src/store/realisations.ts';
import { buildSuite, cannotBuild, fixture, REPOSITORY, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { processesWith, uniqueMarker } from '../support/processes.ts';
import { temporary } from '../support/temporary.ts';

const isRoot = process.getuid?.() === 0;

/** A recipe that runs its own build.sh. */
function fileRecipe(fields: Readonly<Record<string, unknown>> = {}): string {
  const recipe = {
    description: 'x',
    image: 'base',
    files: ['build.sh'],
    command: ['bash', '/recipe/build.sh'],
    ...fields,
  };
  return `import { defineRecipe } from 'vmbuild';\nexport default defineRecipe(${JSON.stringify(recipe)});\n`;
}

const CHAIN = {
  'low/recipe.ts': fileRecipe({ env: { FLAG: 'a' } }),
  'low/build.sh': 'echo same >/out/file\n',
  'middle/recipe.ts': scriptRecipe('cp /in/low/file /out/copy', { inputs: { low: 'low' } }),
  'top/recipe.ts': scriptRecipe('cat /in/middle/copy /in/middle/copy >/out/twice', { inputs: { middle: 'middle' } }),
};

async function logOf(store: Store, target: string): Promise<string> {
  const key = (await readTargetRecord(store, target))?.last.buildKey;
  const to = new PassThrough();
  const all = text(to);
  if (key !== undefined) await readLog(store, key, to);
  to.end();
  return all;
}

/** What a promise is rejected with. */
async function failure(promise: Promise<unknown>): Promise<VmbuildError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof VmbuildError)) throw error;
  return error;
}

async function scratchOf(store: Store): Promise<readonly string[]> {
  return readdir(store.layout.temporary);
}

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
    expect(await readFile(join(kept, 'sandbox', 'build', 'half'), 'utf8')).toBe('half\n');
    expect(await readFile(join(kept, 'sandbox', 'out', 'x'), 'utf8')).toBe('out\n');
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

describe.skipIf(cannotBuild !== undefined)(buildSuite('unusual output'), () => {
  it('with line ends in names, folders nobody may read, and hard links is stored whole', async () => {
    const store = await storeWithImage();
    const script = `mkdir -p /out/closed/deep; echo secret >/out/closed/deep/file; echo x >$'/out/two\\nlines'
      ln /out/closed/deep/file /out/hard; chmod 0 /out/closed/deep/file /out/closed/deep /out/closed; chmod 0 /out`;
    const { results } = await run(await fixture({ 'one/recipe.ts': scriptRecipe(script) }), ['one'], { store });
    const path = results[0]?.path ?? '';
    expect((await readdir(path)).sort()).toEqual(['closed', 'hard', 'two\nlines']);
    expect(await readFile(join(path, 'closed', 'deep', 'file'), 'utf8')).toBe('secret\n');
    expect((await stat(join(path, 'closed'))).mode & 0o777).toBe(0o755);
    const separate = scriptRecipe(
      `mkdir -p /out/closed/deep; echo secret >/out/closed/deep/file; echo x >$'/out/two\\nlines'; cp /out/closed/deep/file /out/hard`,
    );
    const other = await run(await fixture({ 'one/recipe.ts': separate }), ['one'], { store });
    expect(other.results[0]?.artifact).toBe(results[0]?.artifact);
    expect(await scratchOf(store)).toEqual([]);
  });

  it('has the same digest whatever its times and modes', async () => {
    const store = await storeWithImage();
    const one = await run(
      await fixture({ 'a/recipe.ts': scriptRecipe('echo x >/out/x; chmod 600 /out/x; touch -d @5 /out/x') }),
      ['a'],
      { store },
    );
    const two = await run(await fixture({ 'a/recipe.ts': scriptRecipe('echo x >/out/x; chmod 664 /out/x') }), ['a'], {
      store,
    });
    expect(two.executed).toEqual(['a']);
    expect(two.results[0]?.artifact).toBe(one.results[0]?.artifact);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('a store that is in trouble'), () => {
  it.skipIf(!isRoot)(
    'is full: said so with the step, and usable again afterwards (needs root to mount one)',
    async () => {
      const root = await temporary();
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', root]);
      try {
        const store = await storeWithImage(root);
        const project = await fixture({
          'log/recipe.ts': scriptRecipe('while :; do printf "%1000s\\n" x; printf "%1000s\\n" y >&2; done'),
          'files/recipe.ts': scriptRecipe('head -c 9000000 /dev/urandom >/out/x'),
          'small/recipe.ts': scriptRecipe('echo x >/out/x'),
        });
        const error = await failure(run(project, ['log'], { store }));
        expect(error).toMatchObject({ code: 'DISK_FULL', step: 'log' });
        expect(await failure(run(project, ['files'], { store }))).toMatchObject({ step: 'files' });
        expect(await scratchOf(store)).toEqual([]);
        expect((await run(project, ['small'], { store })).executed).toEqual(['small']);
      } finally {
        execFileSync('umount', ['--lazy', root]);
      }
    },
  );

  it.skipIf(!isRoot)('turns read-only: said so, and no success (needs root to mount one)', async () => {
    const root = await temporary();
    const store = await storeWithImage(root);
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('echo x >/out/x') });
    execFileSync('mount', ['--bind', root, root]);
    execFileSync('mount', ['-o', 'remount,bind,ro', root]);
    try {
      expect(await failure(run(project, ['one'], { store }))).toMatchObject({ code: 'STORE_UNUSABLE' });
    } finally {
      execFileSync('umount', ['--lazy', root]);
    }
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('an abort'), () => {
  it('ends a step that runs, and returns when nothing is left of it', async () => {
    const store = await storeWithImage();
    const marker = uniqueMarker();
    const project = await fixture({
      'one/recipe.ts': scriptRecipe(`mkdir -p /build/a/b; echo running; sleep 1000; echo ${marker}`),
      'two/recipe.ts': scriptRecipe('sleep 1001'),
      'three/recipe.ts': scriptRecipe('sleep 1002'),
    });
    const controller = new AbortController();
    const emit = (event: BuildEvent): void => {
      if (event.type === 'step-output') controller.abort(new VmbuildError('INTERRUPTED', 'enough'));
    };
    const events: BuildEvent[] = [];
    const error = await failure(
      run(project, ['one', 'two', 'three'], { store, emit, events, signal: controller.signal }),
    );
    expect(error).toMatchObject({ code: 'INTERRUPTED', message: 'enough' });
    expect(processesWith(marker)).toEqual([]);
    expect(await scratchOf(store)).toEqual([]);
    expect(events.filter(({ type }) => type === 'step-failed')).toEqual([]);
    expect(events.flatMap((event) => (event.type === 'step-started' ? [event.target] : []))).not.toContain('three');
  });

  it('ends the wait for another vmbuild', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('echo x >/out/x') });
    const { results } = await run(project, ['one'], { store });
    const key = results[0]?.buildKey ?? sha256('');
    await rm(store.layout.realisation(key));
    await using _lock = await acquireLock(store.layout.lock('build', key), { signal: new AbortController().signal });
    const controller = new AbortController();
    const emit = (event: BuildEvent): void => {
      if (event.type === 'step-waiting') controller.abort(new VmbuildError('INTERRUPTED', 'enough'));
    };
    const error = await failure(run(project, ['one'], { store, emit, signal: controller.signal }));
    expect(error.code).toBe('INTERRUPTED');
    expect(await scratchOf(store)).toEqual([]);
  });

  it('before the beginning starts nothing', async () => {
    const store = await storeWithImage();
    const project = await fixture({ 'one/recipe.ts': scriptRecipe('echo x >/out/x') });
    const events: BuildEvent[] = [];
    const signal = AbortSignal.abort(new VmbuildError('INTERRUPTED', 'enough'));
    expect((await failure(run(project, ['one'], { store, events, signal }))).code).toBe('INTERRUPTED');
    expect(events.filter(({ type }) => type === 'step-started')).toEqual([]);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('the flash budget'), () => {
  const parts = { kernel: { input: 'kernel', file: 'image' } };
  const rom = (budget: object): Record<string, string> => ({
    'kernel/recipe.ts': scriptRecipe('head -c 1000 /dev/zero >/out/image'),
    'rom/recipe.ts': scriptRecipe('cp /in/kernel/image /out/rom', {
      inputs: { kernel: 'kernel' },
      flashBudget: budget,
    }),
  });

  it('that is exceeded stops before the step that would assemble the flash, with a table', async () => {
    const store = await storeWithImage();
    const events: BuildEvent[] = [];
    const project = await fixture(rom({ limit: 600, parts }));
    const error = await failure(run(project, ['rom'], { store, events }));
    expect(error).toMatchObject({ code: 'BUDGET_EXCEEDED', step: 'rom' });
    expect(error.message).toMatch(
      /rom needs 1000 bytes of flash and may take 600:\n {2}kernel +1000 +166\.7 %\n.*\n {2}too much +400/,
    );
    expect(events.flatMap((event) => (event.type === 'step-started' ? [event.target] : []))).toEqual(['kernel']);
    // Known sizes are checked before anything runs.
    const again: BuildEvent[] = [];
    expect(await failure(run(project, ['rom'], { store, events: again }))).toMatchObject({ code: 'BUDGET_EXCEEDED' });
    expect(again).toEqual([]);
  });

  it('that is kept lets it through', async () => {
    const store = await storeWithImage();
    expect((await run(await fixture(rom({ limit: 1000, parts })), ['rom'], { store })).executed).toEqual([
      'kernel',
      'rom',
    ]);
  });

  it.each([
    [
      'a file that the part does not have',
      { kernel: { input: 'kernel', file: 'imag' } },
      /parts\.kernel: kernel has no file imag/,
    ],
    [
      'a target that is not part of it',
      { kernel: { input: 'nobody', file: 'image' } },
      /parts\.kernel: nobody is not needed/,
    ],
  ])('does not overlook %s', async (_what, wrong, message) => {
    const store = await storeWithImage();
    const error = await failure(run(await fixture(rom({ limit: 600, parts: wrong })), ['rom'], { store }));
    expect(error.code).toBe('RECIPE_INVALID');
    expect(error.message).toMatch(message);
  });
});
