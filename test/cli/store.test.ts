import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixture } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cliFor } from './cli.ts';

describe('vmbuild store check', () => {
  it('says that all is well, or what is wrong and what to do, with an exit code of its own', async () => {
    const cli = await cliFor(await fixture({}), join(await temporary(), 'store'));
    const { code, stdout } = await cli.run('store', 'check');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^checked 0 artifacts/) as unknown,
    });
    await cli.run('realize', 'nobody'); // makes the store
    await writeFile(join(cli.store, 'stray'), '');
    const found = await cli.run('store', 'check');
    expect(found.code).toBe(8);
    expect(found.stdout).toMatch(/^extra {2}stray\n {2}does not belong here\n {2}next: /);
    expect(found.stderr).toMatch(/^error CHECK_FAILED: 1 thing in .* is wrong\n {2}next: vmbuild store check --repair/);
  });

  it('tells programs the same', async () => {
    const cli = await cliFor(await fixture({}), join(await temporary(), 'store'));
    await cli.run('realize', 'nobody');
    await writeFile(join(cli.store, 'stray'), '');
    const { code, stdout } = await cli.run('store', 'check', '--json');
    expect(code).toBe(8);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { type: 'finding', trouble: 'extra', path: 'stray' },
      { type: 'checked', clean: false, artifacts: 0 },
      { type: 'error', code: 'CHECK_FAILED' },
    ]);
  });
});
