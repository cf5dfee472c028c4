import { mkdtemp } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { artifactPath } from '../../src/substituters/layout.ts';
import { cacheAt } from '../build/sharing.ts';
import {
  buildSuite,
  cannotBuild,
  type Fixture,
  fixture,
  run,
  scriptRecipe,
  storeWithImage,
} from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { KINDS, person } from './cacheKinds.ts';

// Looking after a cache that is reached over a network, and challenging what it has. By the command line, with real servers.

/** Stores of two people: `far-steady` came out the same for both, `far-chance` and what is made of it did not. */
interface Two {
  readonly project: Fixture;
  readonly alice: string;
  readonly bob: string;
  readonly steady: Digest;
}

let two: Promise<Two> | undefined;
const folders: string[] = [];
afterAll(() => Promise.all(folders.map(removeTree)));

async function buildTwice(): Promise<Two> {
  const folder = await mkdtemp(join(tmpdir(), 'vmbuild-far-'));
  folders.push(folder);
  const project = await fixture(
    {
      'far-steady/recipe.ts': scriptRecipe('echo steady > /out/v'),
      'far-chance/recipe.ts': scriptRecipe('cat /proc/sys/kernel/random/uuid > /out/v'),
      'far-top/recipe.ts': scriptRecipe('cat /in/steady/v /in/chance/v > /out/top', {
        inputs: { chance: 'far-chance', steady: 'far-steady' },
      }),
    },
    folder,
  );
  const [alice, bob] = [await storeWithImage(join(folder, 'alice')), await storeWithImage(join(folder, 'bob'))];
  await run(project, ['far-top'], { store: alice });
  await run(project, ['far-top'], { store: bob });
  const { results } = await run(project, ['far-steady'], { store: bob });
  return { project, alice: alice.layout.root, bob: bob.layout.root, steady: results.at(-1)?.artifact as Digest };
}

const listed = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.lock')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

const body = (text: string) => ({ size: text.length, sha256: sha256(text), open: () => [Buffer.from(text)] });

for (const { name, lacking, lists, start } of KINDS.filter(({ far }) => far)) {
  const title = lacking === undefined ? name : `${name} (skipped: ${lacking})`;
  describe.skipIf(cannotBuild !== undefined || lacking !== undefined)(buildSuite(title), { timeout: 600_000 }, () => {
    it('is filled from a folder, checked, copied from, challenged, and collected where it can list', async () => {
      const { project, alice: aliceStore, bob: bobStore, steady } = await (two ??= buildTwice());
      await using place = await start();
      const { url } = place;
      const alice = (await person(project, aliceStore, place.writer)).cli;
      const bob = (await person(project, bobStore, place.reader)).cli;
      const folder = await temporary();
      expect(await alice.run('cache', 'push', `file://${folder}`, 'far-top')).toMatchObject({ code: 0 });

      const copied = await alice.run('cache', 'copy', `file://${folder}`, url);
      expect(copied).toMatchObject({
        code: 0,
        stderr: '',
        stdout: expect.stringMatching(/^3 objects written/m) as unknown,
      });
      const clean = await bob.run('cache', 'check', url, 'far-top');
      expect(clean).toMatchObject({
        code: 0,
        stderr: '',
        stdout: expect.stringMatching(/^checked 3 objects .* and 6 sta/) as unknown,
      });
      const other = await temporary();
      expect(await bob.run('cache', 'copy', url, `file://${other}`, 'far-top')).toMatchObject({ code: 0, stderr: '' });
      expect(listed(other)).toEqual(listed(folder));
      expect(await bob.run('cache', 'check', `file://${other}`)).toMatchObject({ code: 0 });
      // Everything, which only some can tell.
      const all = await bob.run('cache', 'check', url);
      if (lists) expect(all).toMatchObject({ code: 0, stdout: clean.stdout });
      else
        expect(all).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/^error USAGE: .* cannot tell all that/) as unknown,
        });

      const challenge = ['challenge', 'far-top', '--substituter', url, '--only'];
      const same = await bob.run(...challenge, 'far-steady');
      expect(same).toMatchObject({ code: 0, stdout: expect.stringMatching(/^far-steady {2}match {2}/) as unknown });
      const different = await bob.run(...challenge, 'far-chance', '--diff');
      expect(different).toMatchObject({ code: 5, stdout: expect.stringMatching(/^far-chance {2}mismatch/) as unknown });
      expect(different.stdout).toMatch(/^ {2}v: changed: from line 1$/m);

      const cache = cacheAt(url, undefined, place.context);
      const lonely = artifactPath(sha256('what nobody speaks of'));
      await cache.put(lonely, body('x'));
      expect((await alice.run('cache', 'gc', url)).code).toBe(lists ? 0 : 2);
      expect(await cache.stat(lonely)).toBeDefined(); // it is young
      const collect = ['cache', 'gc', url, '--grace', '0s', '--no-writers'];
      if (lists) {
        expect(await alice.run(...collect)).toMatchObject({
          code: 0,
          stdout: expect.stringContaining(`${lonely}  1 B\n1 file removed`) as unknown,
        });
        expect(await bob.run('cache', 'check', url, 'far-top')).toMatchObject({ code: 0, stdout: clean.stdout });
        expect(await alice.run(...collect, 'far-steady')).toMatchObject({ code: 0 });
        expect(await bob.run('cache', 'check', url)).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/^checked 1 object /) as unknown,
        });
      } else {
        expect(await alice.run(...collect)).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(
            /^error USAGE: .* can neither list nor remove what it has; nothing was removed\n/,
          ) as unknown,
        });
      }
      expect((await cache.stat(lonely)) === undefined).toBe(lists);

      await cache.put(artifactPath(steady), body('something else'));
      const damaged = expect.stringContaining(`damaged  ${artifactPath(steady)}`) as unknown;
      expect(await bob.run('cache', 'check', url, 'far-steady')).toMatchObject({ code: 8, stdout: damaged });
      const third = await temporary();
      const left = expect.stringContaining(`left out: ${artifactPath(steady)}: `) as unknown;
      expect(await bob.run('cache', 'copy', url, `file://${third}`, 'far-steady')).toMatchObject({
        code: 8,
        stdout: left,
      });
      expect(listed(third)).toEqual(['signers.json']);
    });
  });
}
