import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import { acquireLock } from '../../src/io/lock.ts';
import { sha256 } from '../../src/model/digest.ts';
import { VmbuildError } from '../../src/model/errors.ts';
import { buildSuite, cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { processesWith, uniqueMarker } from '../support/processes.ts';
import { temporary } from '../support/temporary.ts';
import { failure, scratchOf } from './realising.ts';

const isRoot = process.getuid?.() === 0;

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
