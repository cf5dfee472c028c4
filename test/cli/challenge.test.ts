import { describe, expect, it } from 'vitest';
import { buildSuite, cannotBuild, type Fixture, fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { type Cli, cliFor } from './cli.ts';

const NAMESPACE = ['--executor', 'namespace'];

/** Somebody with a key, a store and a result of their own. */
async function builder(project: Fixture): Promise<Cli> {
  const cli = await cliFor(project);
  await cli.run('key', 'generate');
  const realised = await cli.run('realize', 'top', ...NAMESPACE);
  expect(realised.code, realised.stderr).toBe(0);
  return cli;
}

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild challenge'), { timeout: 120_000 }, () => {
  it('tells match, mismatch and inconclusive apart by exit code, and fetches what differs when asked', async () => {
    const project = await fixture({
      'chance/recipe.ts': scriptRecipe('cat /proc/sys/kernel/random/uuid > /out/v'),
      'steady/recipe.ts': scriptRecipe('echo steady > /out/v'),
      'top/recipe.ts': scriptRecipe('cat /in/steady/v /in/chance/v > /out/top', {
        inputs: { chance: 'chance', steady: 'steady' },
      }),
    });
    const [alice, bob] = [await builder(project), await builder(project)];
    const url = `file://${await temporary()}`;
    const from = ['--substituter', url];
    expect(await alice.run('challenge', 'top')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error USAGE: there is no cache to ask/) as unknown,
    });
    expect(await alice.run('challenge', 'top', ...from)).toMatchObject({
      code: 11,
      stdout: expect.stringMatching(/^chance {2}inconclusive {2}[0-9a-f]{12} {2}nobody has published it\n/) as unknown,
    });

    const pushed = await alice.run('cache', 'push', url, 'top');
    expect(pushed.stdout, pushed.stderr).toMatch(/3 own builds signed, 0 verifications/);
    const same = await bob.run('challenge', 'top', '--only', 'steady', ...from);
    expect(same.code, same.stdout + same.stderr).toBe(0);
    expect(same.stdout).toMatch(
      /^steady {2}match {2}[0-9a-f]{12} {2}1 other has the same\n {2}published: [0-9a-f]{12} {2}unnamed key \([0-9a-f]{12}\), not trusted, namespace, vmbuild \S+, 20\S+; file:\/\//,
    );
    expect(same.stdout).toMatch(/nobody of them is trusted/);
    expect((await bob.run('challenge', 'top', '--only', 'steady', '--trusted', ...from)).code).toBe(11);

    const different = await bob.run('challenge', 'top', ...from);
    expect(different.code).toBe(5);
    expect(different.stdout).toMatch(/^chance {2}mismatch/m);
    expect(different.stdout).toMatch(/^ {2}here: [0-9a-f]{64} {2}built here, namespace/m);
    expect(different.stdout).toMatch(/^ {2}published: [0-9a-f]{64} .*, made from other inputs; /m);
    expect(different.stdout).toMatch(/^1 of 3 steps match, 2 mismatch$/m);
    expect(different.stderr).toContain(`vmbuild challenge top --only chance --diff --substituter ${url}`);

    const shown = await bob.run('challenge', 'top', '--only', 'chance', '--diff', ...from);
    expect(shown.code).toBe(5);
    const command = /^vmbuild diff ([0-9a-f]{64}) ([0-9a-f]{64})\n {2}v: changed: from line 1\n/m.exec(shown.stdout);
    expect(command, shown.stdout).not.toBeNull();
    expect((await bob.run('diff', command?.[1] as string, command?.[2] as string)).code).toBe(5);
    expect((await bob.run('store', 'check')).code).toBe(0);

    const lines = (await bob.run('challenge', 'top', '--json', '--diff', ...from)).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { type: 'challenged', target: 'chance', verdict: 'mismatch', published: [{ executor: 'namespace' }] },
      { type: 'challenged', target: 'steady', verdict: 'match', local: { built: true }, unverified: 0 },
      { type: 'challenged', target: 'top', verdict: 'mismatch' },
      { type: 'difference', target: 'chance', path: ['v'], change: 'changed' },
      { type: 'result', match: 1, mismatch: 2, inconclusive: 0 },
      { type: 'error', code: 'MISMATCH' },
    ]);
  });

  it('shows what others have verified, and a push does not hand on what is known to differ', async () => {
    const project = await fixture({ 'top/recipe.ts': scriptRecipe('uname -r > /out/v') });
    const [alice, bob] = [await builder(project), await builder(project)];
    const url = `file://${await temporary()}`;
    const verified = await alice.run('verify', 'top', '--axis', 'kernel', ...NAMESPACE);
    expect(verified.code, verified.stdout + verified.stderr).toBe(5);
    const refused = await alice.run('cache', 'push', url, 'top');
    expect(refused).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/^error DIFFERS_ON_RECORD: [^]*--allow-differs/) as unknown,
    });
    const pushed = await alice.run('cache', 'push', url, 'top', '--allow-differs');
    expect(pushed.stdout, pushed.stderr).toMatch(/1 verification,/);
    const { code, stdout } = await bob.run('challenge', 'top', '--substituter', url);
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/^ {2}verified: differs, 1 round, what matters: /m);
  });
});
