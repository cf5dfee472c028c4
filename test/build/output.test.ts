import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildSuite, cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { scratchOf } from './realising.ts';

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
