import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { buildSuite, cannotBuild, fixture, scriptRecipe } from '../support/fixture.ts';
import { noDocker } from '../executors/sandbox/sandboxes.ts';
import { cliFor, VMBUILD } from './cli.ts';

/** Everything that a step can ask. */
const TELL_ALL = `
  exec 2>&1; env; set; export -p; cat /proc/*/environ /proc/*/cmdline /proc/self/mountinfo | tr '\\0' '\\n'
  ls -laR /proc/self/fd /recipe /in /build /tmp /dev; { env; set; } >/out/environment`;

describe.skipIf(cannotBuild !== undefined).each([
  { executor: 'namespace', skip: false },
  { executor: 'docker', skip: noDocker !== undefined },
])(buildSuite('secrets in the environment of vmbuild, with $executor'), ({ executor, skip }) => {
  it.skipIf(skip)(
    skip ? `are kept (skipped: ${noDocker})` : 'reach no build, no log and no file of the store',
    async () => {
      const secret = `secret-${randomUUID()}`;
      const module = 'h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
      const project = await fixture({
        'tell/recipe.ts': scriptRecipe(TELL_ALL),
        'fail/recipe.ts': scriptRecipe(`${TELL_ALL}; exit 3`),
        // A source that nobody has, from servers whose addresses hold the secret.
        'fetch/recipe.ts': scriptRecipe('true', {
          sources: { go: { type: 'gomod', sum: 'go.sum', tree: '0'.repeat(64) } },
        }),
        'fetch/go.sum': `example.com/x v1.0.0 ${module}\nexample.com/x v1.0.0/go.mod ${module}\n`,
      });
      const host = process.env['DOCKER_HOST'];
      const cli = await cliFor(project, undefined, {
        AWS_SECRET_ACCESS_KEY: secret,
        GITHUB_TOKEN: secret,
        LD_LIBRARY_PATH: `/${secret}`,
        PERL5OPT: `-I/${secret}`,
        [secret.replaceAll('-', '_')]: 'as a name',
        GOPROXY: `http://user:${secret}@127.0.0.1:9/proxy?token=${secret}`,
        HTTP_PROXY: `http://user:${secret}@127.0.0.1:9`,
        ...(host === undefined ? {} : { DOCKER_HOST: host }),
      });
      const ended = [];
      for (const args of [['tell'], ['tell', '--rebuild', '--json'], ['fail'], ['fail', '--json'], ['fetch']]) {
        ended.push(await cli.run('realize', ...args, '--executor', executor));
      }
      expect(ended.map(({ code }) => code === 0)).toEqual([true, true, false, false, false]);
      expect(ended.at(-1)?.stderr).toMatch(/SOURCE_UNAVAILABLE[^]*127\.0\.0\.1:9/);
      for (const target of ['tell', 'fail']) {
        const log = await cli.run('log', target);
        expect(log.stdout).toContain('HOME=/build'); // it did tell
        ended.push(log);
      }
      const told = ended.map(({ stdout, stderr }) => stdout + stderr).join('\n');
      for (const name of [secret, secret.replaceAll('-', '_')]) {
        expect(told).not.toContain(name);
        expect(spawnSync('grep', ['-rlF', name, cli.store]).stdout.toString()).toBe('');
      }
    },
  );
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('the log of a build that sends commands to the terminal'), () => {
  it('is printed byte for byte for programs, and as plain text on a terminal', async () => {
    const project = await fixture({
      'play/recipe.ts': scriptRecipe(`printf 'a\\033[2J\\033]0;t\\007b\\n'; touch /out/x`),
    });
    const cli = await cliFor(project);
    expect((await cli.run('realize', 'play')).code).toBe(0);
    expect((await cli.run('log', 'play')).stdout).toBe('a\x1b[2J\x1b]0;t\x07b\n');
    const command = `'${VMBUILD}' --recipes '${project.root.recipes}' --store '${cli.store}' log play`;
    const shown = execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      encoding: 'utf8',
    });
    expect(shown).toBe('a]0;tb\r\n');
  });
});
