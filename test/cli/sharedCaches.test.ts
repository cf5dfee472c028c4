import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { unpackArchive } from '../../src/build/unpackArchive.ts';
import { removeTree } from '../../src/io/files.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import type { Digest } from '../../src/model/digest.ts';
import { artifactPath, parseSigners, SIGNERS_PATH } from '../../src/substituters/layout.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import { cacheAt } from '../build/sharing.ts';
import { buildSuite, cannotBuild, run, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { KINDS, type Person, person, sharedProject } from './cacheKinds.ts';
import type { Cli } from './cli.ts';

/** A store in which it was built: one for all kinds, which nobody writes results to. */
const folders: string[] = [];
const built = once(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vmbuild-shared-'));
  folders.push(folder);
  const project = await sharedProject(folder);
  const store = await storeWithImage(join(folder, 'store'));
  const { results } = await run(project, ['shared-rom'], { store });
  return { project, store, rom: results.at(-1)?.artifact as Digest };
});
afterAll(() => Promise.all(folders.map(removeTree)));

for (const { name, lacking, conditional, start } of KINDS) {
  const title = lacking === undefined ? name : `${name} (skipped: ${lacking})`;
  describe.skipIf(cannotBuild !== undefined || lacking !== undefined)(buildSuite(title), () => {
    it(
      'is shared: pushed to by several at once, and read from by another store with need: 2',
      { timeout: 600_000 },
      async () => {
        const { project, store, rom } = await built();
        const place = await start();
        await using _place = place;
        const output: string[] = [];
        const command = async (cli: Cli, ...args: string[]): Promise<number | null> => {
          const { code, stdout, stderr } = await cli.run(...args);
          output.push(stdout, stderr);
          return code;
        };

        const attempts = Object.entries(place.refused).map(async ([who, environment]) => {
          const stranger = await person(project, store.layout.root, environment);
          const { code, stderr } = await stranger.cli.run('cache', 'push', place.url, 'shared-rom');
          output.push(stderr);
          return [who, code, /CACHE_DENIED/.test(stderr) ? 'denied' : stderr];
        });
        const names = Object.keys(place.refused);
        expect(await Promise.all(attempts)).toEqual(names.map((who) => [who, 4, 'denied']));

        const people = await Promise.all([1, 2, 3].map(() => person(project, store.layout.root, place.writer)));
        const [first, ...others] = people as [Person, Person, Person];
        const reader = await person(project, (await storeWithImage()).layout.root, place.reader, people);
        expect(await command(first.cli, 'cache', 'push', place.url, 'shared-rom')).toBe(0);
        // One signer is not two.
        expect(await command(reader.cli, 'cache', 'pull', place.url, 'shared-rom')).toBe(4);
        expect(output.at(-1)).toContain('NOT_SUBSTITUTED');

        const cache = cacheAt(place.url, undefined, place.context);
        const done = new AbortController();
        const reading = readAllTheTime(cache, rom, done.signal);
        const pushes = await Promise.all(
          others.map(({ cli }) => command(cli, 'cache', 'push', place.url, 'shared-rom')),
        );
        done.abort();
        expect([pushes, output.slice(-4)]).toEqual([[0, 0], expect.anything()]);
        expect(await reading).toBeGreaterThan(0);

        expect(await command(reader.cli, 'cache', 'pull', place.url, 'shared-rom'), output.at(-1)).toBe(0);
        const fetched = join(reader.cli.store, 'artifacts', rom);
        expect(treeDigest(fetched, listTree(fetched))).toBe(rom);

        const signers = parseSigners((await cache.read(SIGNERS_PATH, 1 << 20))?.bytes.toString() ?? '');
        if (conditional) expect(Object.values(signers).toSorted()).toEqual(people.map(({ key }) => key).toSorted());

        // What is there is not asked for again: not even the server need be.
        await place[Symbol.asyncDispose]();
        expect(await command(reader.cli, 'cache', 'pull', place.url, 'shared-rom')).toBe(0);
        const written = globSync('**', { cwd: reader.cli.store })
          .map((path) => join(reader.cli.store, path))
          .filter((path) => /\.(json|jsonl|log)$/.test(path) && existsSync(path));
        const everything = [...output, ...written.map((path) => readFileSync(path, 'utf8'))].join('\n');
        for (const secret of place.secrets) expect(everything).not.toContain(secret);
      },
    );
  });
}

/** Does something when it is asked for first, and once. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= work());
}

/** Takes an artifact again and again while others write; whatever is found must be it. Returns how often it was. */
async function readAllTheTime(cache: ObjectStore, digest: Digest, signal: AbortSignal): Promise<number> {
  const folder = await temporary();
  let found = 0;
  while (!signal.aborted) {
    const object = await cache.open(artifactPath(digest));
    if (object === undefined) throw new Error('what was pushed is not there any more');
    const place = join(folder, String((found += 1)));
    const unpacked = await unpackArchive(object, place, { limit: 1 << 20, signal: new AbortController().signal });
    object.close();
    expect(unpacked).toBe(digest);
    await sleep(10);
  }
  return found;
}
