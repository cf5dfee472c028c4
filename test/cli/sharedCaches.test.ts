import { randomBytes } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { generateSigningKey, signingKeyText } from '../../src/attest/keys.ts';
import { unpackArchive } from '../../src/build/unpackArchive.ts';
import { removeTree } from '../../src/io/files.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import type { Digest } from '../../src/model/digest.ts';
import type { CacheContext } from '../../src/substituters/openCache.ts';
import { artifactPath, parseSigners, SIGNERS_PATH } from '../../src/substituters/layout.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import { cacheAt } from '../build/sharing.ts';
import { lacksServer, makeBucket, S3_KEY, startCacheServer } from '../support/cacheServers.ts';
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
import { type Cli, cliFor } from './cli.ts';

/** A kind of cache that several people share. */
interface Kind {
  readonly name: string;
  /** Why it cannot be had here. */
  readonly lacking?: string | undefined;
  /** Writers never lose what others write at the same moment. */
  readonly conditional: boolean;
  readonly start: () => Promise<Shared>;
}

/** Where it lies. */
interface Shared extends AsyncDisposable {
  readonly url: string;
  /** Environment of who may write. */
  readonly writer: Readonly<Record<string, string>>;
  /** Environments of who may not, by name. */
  readonly refused: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Environment of who reads. */
  readonly reader: Readonly<Record<string, string>>;
  /** What must not show anywhere. */
  readonly secrets: readonly string[];
  readonly context: Partial<CacheContext>;
}

/** Names that the program's own recipes have not. */
const sharedProject = (folder?: string): Promise<Fixture> =>
  fixture(
    {
      'shared-tool/recipe.ts': scriptRecipe('echo tool > /out/tool'),
      'shared-rom/recipe.ts': scriptRecipe('cat /in/tool/tool > /out/rom.bin; ln -s rom.bin /out/link', {
        inputs: { tool: 'shared-tool' },
      }),
    },
    folder,
  );

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

const WRONG = 'a-wrong-secret-of-the-test';

/** VMBUILD_CREDENTIALS for an origin. */
const credentials = (origin: string, shown: object): Readonly<Record<string, string>> => ({
  VMBUILD_CREDENTIALS: JSON.stringify({ [origin]: shown }),
});

/** DOCKER_CONFIG as `docker login` leaves it. */
async function dockerLogin(host: string, password: string): Promise<Readonly<Record<string, string>>> {
  const folder = await temporary();
  const auth = Buffer.from(`vmbuild:${password}`).toString('base64');
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  return { DOCKER_CONFIG: folder };
}

const nothing = { [Symbol.asyncDispose]: async () => {} };

const KINDS: readonly Kind[] = [
  {
    name: 'a folder',
    conditional: true,
    start: async () => ({
      url: `file://${await temporary()}`,
      writer: {},
      refused: {},
      reader: {},
      secrets: [],
      context: {},
      ...nothing,
    }),
  },
  {
    name: 'vmbuild cache serve',
    conditional: true,
    start: async () => {
      const folder = await temporary();
      const token = randomBytes(16).toString('hex');
      writeFileSync(join(folder, 'token'), token);
      const server = await cliFor(await sharedProject());
      const data = join(folder, 'data');
      const options = ['--listen', '127.0.0.1:0', '--write-token-file', join(folder, 'token')];
      const { child, ended } = server.start('cache', 'serve', data, ...options);
      const said = await new Promise<string>((resolve) =>
        child.stdout?.once('data', (text: Buffer) => resolve(String(text))),
      );
      const url = /http:\S+/.exec(said)?.[0] as string;
      const { origin } = new URL(url);
      return {
        url,
        writer: credentials(origin, { token }),
        refused: { 'no token': {}, 'a wrong token': credentials(origin, { token: WRONG }) },
        reader: {},
        secrets: [token, WRONG],
        context: {},
        [Symbol.asyncDispose]: async () => {
          child.kill();
          await ended;
        },
      };
    },
  },
  {
    name: 'nginx',
    lacking: lacksServer('nginx'),
    conditional: false,
    start: async () => {
      const server = await startCacheServer('nginx');
      const origin = `http://${server.host}`;
      return {
        url: `${origin}/team`,
        writer: credentials(origin, { username: 'vmbuild', password: 'secret' }),
        refused: {
          'no password': {},
          'a wrong password': credentials(origin, { username: 'vmbuild', password: WRONG }),
        },
        reader: {},
        secrets: [WRONG],
        context: {},
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: 'a bucket',
    lacking: lacksServer('s3'),
    conditional: true,
    start: async () => {
      const server = await startCacheServer('s3');
      makeBucket(server, 'team');
      const { accessKeyId, secretAccessKey } = S3_KEY;
      const identity = (id: string, secret: string) => ({ AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret });
      return {
        url: `s3://team/some/prefix?endpoint=http://${server.host}&region=eu-test-1`,
        writer: identity(accessKeyId, secretAccessKey),
        refused: {
          'a wrong secret': identity(accessKeyId, WRONG),
          'an unknown key': identity('nobody', secretAccessKey),
          'no key': {},
        },
        reader: identity(accessKeyId, secretAccessKey),
        secrets: [secretAccessKey, WRONG],
        context: { aws: () => ({ credentials: S3_KEY, region: undefined }) },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  ...[true, false].map((password): Kind => ({
    name: password ? 'a registry with a password' : 'a registry',
    lacking: lacksServer('registry'),
    conditional: false,
    start: async () => {
      const server = await startCacheServer('registry', { password });
      const login = await dockerLogin(server.host, 'secret');
      return {
        url: `oci://${server.host}/team/cache`,
        writer: password ? login : {},
        refused: password ? { 'no password': {}, 'a wrong password': await dockerLogin(server.host, WRONG) } : {},
        reader: password ? login : {},
        secrets: [WRONG],
        context: { registryCredentials: () => (password ? { username: 'vmbuild', password: 'secret' } : undefined) },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  })),
];

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

/** Somebody with a key of their own. */
interface Person {
  readonly cli: Cli;
  readonly key: string;
}

async function person(
  project: Fixture,
  store: string,
  environment: Readonly<Record<string, string>>,
  trusted: readonly Person[] = [],
): Promise<Person> {
  const config = await temporary();
  const cli = await cliFor(project, store, { ...environment, XDG_CONFIG_HOME: config });
  const signing = generateSigningKey();
  mkdirSync(join(config, 'vmbuild', 'keys'), { recursive: true });
  writeFileSync(join(config, 'vmbuild', 'keys', 'default.pem'), signingKeyText(signing), {
    mode: 0o600,
  });
  const key = signing.publicKey.text;
  const trustedKeys = Object.fromEntries(trusted.map((other, index) => [`person${index}`, other.key]));
  if (trusted.length > 0) {
    writeFileSync(join(config, 'vmbuild', 'config.json'), JSON.stringify({ trustedKeys, need: 2 }));
  }
  return { cli, key };
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
