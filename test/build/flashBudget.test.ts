import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/build/events.ts';
import { buildSuite, cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { failure } from './realising.ts';

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
