import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateSigningKey, signingKeyText } from '../../src/attest/keys.ts';
import type { CacheContext } from '../../src/substituters/openCache.ts';
import { lacksServer, makeBucket, S3_KEY, startCacheServer } from '../support/cacheServers.ts';
import { type Fixture, fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { type Cli, cliFor } from './cli.ts';

/** A kind of cache that several people share. */
export interface Kind {
  readonly name: string;
  /** Why it cannot be had here. */
  readonly lacking?: string | undefined;
  /** Writers never lose what others write at the same moment. */
  readonly conditional: boolean;
  /** It lies behind a server of its own. */
  readonly far: boolean;
  /** It can tell all that it has. */
  readonly lists: boolean;
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
export const sharedProject = (folder?: string): Promise<Fixture> =>
  fixture(
    {
      'shared-tool/recipe.ts': scriptRecipe('echo tool > /out/tool'),
      'shared-rom/recipe.ts': scriptRecipe('cat /in/tool/tool > /out/rom.bin; ln -s rom.bin /out/link', {
        inputs: { tool: 'shared-tool' },
      }),
    },
    folder,
  );

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

export const KINDS: readonly Kind[] = [
  {
    name: 'a folder',
    conditional: true,
    far: false,
    lists: true,
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
    far: true,
    lists: false,
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
        context: { credentials: () => ({ token }) },
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
    far: true,
    lists: false,
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
        context: { credentials: () => ({ username: 'vmbuild', password: 'secret' }) },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: 'a bucket',
    lacking: lacksServer('s3'),
    conditional: true,
    far: true,
    lists: true,
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
    far: !password,
    lists: false,
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

/** Somebody with a key of their own. */
export interface Person {
  readonly cli: Cli;
  readonly key: string;
}

export async function person(
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
