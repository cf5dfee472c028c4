import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { cachedSource } from '../../src/build/cachedSource.ts';
import { archiveFolder } from '../../src/build/packArchive.ts';
import { createSubstitution } from '../../src/build/substitution.ts';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import { type Envelope, formatEnvelopes } from '../../src/model/envelope.ts';
import { sha256 } from '../../src/model/digest.ts';
import type { Source } from '../../src/model/source.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import { openSubstituter, type Substituter } from '../../src/substituters/substituter.ts';
import { trusting } from '../attest/statements.ts';
import { type Loopback, loopback } from '../io/loopback.ts';
import { HOSTILE_ARCHIVES, ZSTD_BEGINNING, ZSTD_EMPTY_BLOCK } from '../support/hostileArchives.ts';
import { temporary } from '../support/temporary.ts';
import { adoptStatedTree, findings, leftIn, type Stated } from './stated.ts';

// What a cache may do to whoever believes Alice, and does not believe the cache.

const alice = generateSigningKey();
const mallory = generateSigningKey();
const TOKEN = 'a-token-of-the-test';
const { signal } = new AbortController();

/** A cache in a folder with two artifacts that Alice has signed, and a source. */
interface Cache {
  readonly folder: string;
  readonly rom: Stated;
  readonly other: Stated;
  readonly source: Source;
  readonly at: (path: string) => string;
}

const archive = ({ digest }: Stated): string => `artifacts/${digest}.tar.zst`;
const statements = ({ key }: Stated): string => `statements/${key}/${alice.publicKey.id}.jsonl`;

async function honestCache(): Promise<Cache> {
  const folder = await temporary();
  const at = (path: string): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    return join(folder, path);
  };
  const origin = await openStore(await temporary());
  const text = Buffer.from('a rom that is long enough for a bit of it to turn over\n'.repeat(5000));
  for (let index = 0; index < text.length; index += 7) text.writeUInt8((index * 31) % 256, index);
  const rom = await adoptStatedTree(origin, 'rom', { 'rom.bin': text, 'd/x': 'x' });
  const other = await adoptStatedTree(origin, 'other', { other: 'something else' });
  for (const stated of [rom, other]) {
    await archiveFolder(origin.layout.tree(stated.digest), at(archive(stated)), signal);
    writeFileSync(at(statements(stated)), formatEnvelopes([signStatement(stated.statement, alice)]));
  }
  const digest = sha256('a source');
  writeFileSync(at(`sources/${digest}`), 'a source');
  return { folder, rom, other, source: { kind: 'file', name: 'a source', digest, size: 8, locations: [] }, at };
}

/** A web server of a folder, with whatever it does to a path instead. */
type Misdeed = (response: ServerResponse, server: Loopback) => unknown;

async function serve(folder: string, path: string, misdeed: Misdeed | undefined): Promise<Loopback> {
  const server: Loopback = await loopback(async (request, response) => {
    const wanted = (request.url ?? '').slice(1);
    if (wanted === path && misdeed !== undefined) return misdeed(response, server);
    const file = join(folder, wanted);
    const facts = await stat(file).catch(() => undefined);
    if (facts?.isFile() !== true) return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': facts.size });
    if (request.method === 'HEAD') return response.end();
    // Whoever has seen enough hangs up.
    return pipeline(createReadStream(file), response).catch(() => {});
  });
  return server;
}

/** What came of asking a cache for the ROM. */
interface Outcome {
  readonly store: Store;
  readonly warnings: readonly string[];
  /** Somebody's word was taken. */
  readonly believed: boolean;
  readonly fetched: boolean;
}

async function ask(address: string, { rom }: Cache, http: object = {}): Promise<Outcome> {
  const store = await openStore(await temporary());
  const warnings: string[] = [];
  const caches = [substituter(address, warnings, http)];
  const substitution = createSubstitution(
    { caches, trust: trusting([alice]), only: false },
    { store, signal, emit: () => {} },
  );
  substitution.begin([]);
  const statement = await substitution.lookUp('rom', rom.key);
  const fetched = statement !== undefined && (await substitution.fetch('rom', statement));
  return { store, warnings, believed: statement !== undefined, fetched };
}

function substituter(address: string, warnings: string[], http: object = {}): Substituter {
  const options = { ...CACHE_HTTP, backoff: 1, idleTimeout: 60_000, connectTimeout: 60_000, ...http, signal };
  const cache = openCache(address, { credentials: () => ({ token: TOKEN }), http: options });
  return openSubstituter(cache, signal, (message) => void warnings.push(message));
}

/** Nothing of it is in the store, and nothing is left of the attempt. The record says only what Alice has signed. */
async function expectNothing({ store, fetched }: Outcome): Promise<void> {
  expect(fetched).toBe(false);
  expect(leftIn(store).filter((path) => !path.startsWith('realisations/'))).toEqual([]);
  expect(await findings(store)).toEqual([]);
}

/** Something that is wrong with what lies in a cache, whoever hands it out. */
interface Wrong {
  readonly name: string;
  readonly damage: (cache: Cache) => unknown;
  /** The warning; none where nothing is believed in the first place. */
  readonly complaint?: RegExp;
}

const sign = (stated: Stated, key: typeof alice): Envelope => signStatement(stated.statement, key);

const WRONG: readonly Wrong[] = [
  {
    name: 'a bit turned over',
    damage: ({ rom, at }) => {
      const bytes = readFileSync(at(archive(rom)));
      const middle = bytes.length >> 1;
      bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
      writeFileSync(at(archive(rom)), bytes);
    },
    complaint: /not what its name says/,
  },
  {
    name: 'an archive that is cut off',
    damage: ({ rom, at }) => writeFileSync(at(archive(rom)), readFileSync(at(archive(rom))).subarray(0, -1000)),
    complaint: /damaged|ends in the middle/,
  },
  {
    name: 'more than was stated',
    damage: async ({ rom, at }) => {
      const origin = await openStore(await temporary());
      const larger = await adoptStatedTree(origin, 'rom', { 'rom.bin': Buffer.alloc(500_000) });
      await archiveFolder(origin.layout.tree(larger.digest), at('larger'), signal);
      await cp(at('larger'), at(archive(rom)));
    },
    complaint: /longer than \d+ bytes|more than the/,
  },
  {
    name: 'two artifacts swapped, each of them signed',
    damage: async ({ rom, other, at }) => {
      await cp(at(archive(rom)), at('swap'));
      await cp(at(archive(other)), at(archive(rom)));
      await cp(at('swap'), at(archive(other)));
    },
    complaint: /not what its name says: the archive is/,
  },
  {
    name: 'the right tree, but its tar with something behind the end',
    damage: ({ rom, at }) => {
      const tar = zstdDecompressSync(readFileSync(at(archive(rom))));
      writeFileSync(at(archive(rom)), zstdCompressSync(Buffer.concat([tar, Buffer.alloc(10240)])));
    },
    complaint: /longer than|the archive is/,
  },
  ...HOSTILE_ARCHIVES.map(({ name, write, complaint }): Wrong => ({
    name,
    damage: ({ rom, at }) => write(at(archive(rom))),
    complaint: new RegExp(`${complaint.source}|longer than|more than`),
  })),
  {
    name: 'a statement of somebody else in the place of hers',
    damage: ({ rom, at }) => writeFileSync(at(statements(rom)), formatEnvelopes([sign(rom, mallory)])),
  },
  {
    name: 'the signature of somebody else under her key id',
    damage: ({ rom, at }) => {
      const forged = sign(rom, mallory);
      const signatures = forged.signatures.map(({ sig }) => ({ keyid: alice.publicKey.id, sig }));
      writeFileSync(at(statements(rom)), formatEnvelopes([{ ...forged, signatures }]));
    },
  },
  {
    name: 'her statement about another build key',
    damage: ({ rom, other, at }) => writeFileSync(at(statements(rom)), formatEnvelopes([sign(other, alice)])),
  },
  {
    name: 'her statement with another payload',
    damage: ({ rom, other, at }) => {
      const envelope = { ...sign(rom, alice), payload: sign(other, alice).payload };
      writeFileSync(at(statements(rom)), formatEnvelopes([envelope]));
    },
  },
  {
    name: 'her signature of something that is no statement',
    damage: ({ rom, at }) => {
      const envelope = { ...sign(rom, alice), payloadType: 'text/plain' };
      writeFileSync(at(statements(rom)), formatEnvelopes([envelope]));
    },
  },
  {
    name: 'a page in the place of statements',
    damage: ({ rom, at }) => writeFileSync(at(statements(rom)), '<!doctype html>\n<title>Log in</title>\n'),
    complaint: /no signed statement/,
  },
];

describe.each(['file', 'http'] as const)('a hostile cache behind %s://', (kind) => {
  /** Where the cache can be asked, as long as the scope lasts. */
  const open = async (cache: Cache): Promise<AsyncDisposable & { readonly address: string }> => {
    if (kind === 'file') return { address: `file://${cache.folder}`, [Symbol.asyncDispose]: () => Promise.resolve() };
    const server = await serve(cache.folder, '', undefined);
    return { address: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  };

  it('would be believed if it were honest', async () => {
    const cache = await honestCache();
    await using opened = await open(cache);
    const outcome = await ask(opened.address, cache);
    expect(outcome).toMatchObject({ believed: true, fetched: true, warnings: [] });
    expect(existsSync(join(outcome.store.layout.tree(cache.rom.digest), 'd/x'))).toBe(true);
    expect(await findings(outcome.store)).toEqual([]);
  });

  it.each(WRONG)('gives nothing with $name', async ({ damage, complaint }) => {
    const cache = await honestCache();
    await damage(cache);
    await using opened = await open(cache);
    const outcome = await ask(opened.address, cache);
    await expectNothing(outcome);
    if (complaint === undefined) expect(outcome).toMatchObject({ believed: false, warnings: [] });
    else expect(outcome.warnings).toEqual([expect.stringMatching(complaint)]);
    if (complaint !== undefined) expect(outcome.warnings[0]).toContain('is not asked any more');
  });

  it('gives no source under a wrong name, though others would take it for right', async () => {
    const cache = await honestCache();
    const { digest } = cache.source;
    writeFileSync(cache.at(`sources/${digest}`), 'A source');
    await using opened = await open(cache);
    const store = await openStore(await temporary());
    const caches = [substituter(opened.address, [])];
    const fetching = fetchSource(cache.source, {
      settings: { sourceDirs: [], debianMirrors: [], offline: true },
      caches: (wanted) => cachedSource(wanted, caches, { signal }),
      scratch: store.layout.temporary,
      signal,
      onProgress: () => {},
      onRetry: () => {},
    });
    await expect(fetching).rejects.toMatchObject({ code: 'SOURCE_MISMATCH', message: expect.stringContaining(digest) });
    expect(leftIn(store)).toEqual([]);
  });
});

/** What only a server can do, to the archive of the ROM. */
const MISDEEDS: readonly { name: string; misdeed: Misdeed; complaint: RegExp; http?: object }[] = [
  {
    name: 'drips, a byte at a time, without end',
    misdeed: async (response) => {
      response.writeHead(200).write(ZSTD_BEGINNING);
      while (!response.destroyed) {
        response.write(Buffer.alloc(1));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    complaint: /less than \d+ bytes a second/,
  },
  {
    name: 'sends what unpacks to nothing, without end',
    misdeed: async (response) => {
      response.writeHead(200).write(ZSTD_BEGINNING);
      const blocks = Buffer.concat(Array.from({ length: 20_000 }, () => ZSTD_EMPTY_BLOCK));
      while (!response.destroyed) {
        if (!response.write(blocks)) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    complaint: /more than the \d+ bytes that it may hold/,
  },
  {
    name: 'stalls',
    misdeed: (response) => void response.writeHead(200).write(ZSTD_BEGINNING),
    complaint: /nothing received for/,
    http: { idleTimeout: 20_000 },
  },
  {
    name: 'hangs up in the middle',
    misdeed: (response) => {
      response.writeHead(200, { 'content-length': 100_000 });
      response.write(Buffer.alloc(100), () => response.destroy());
    },
    complaint: /broke the connection|ECONNRESET|terminated|no zstd/,
  },
  {
    name: 'redirects in a circle',
    misdeed: (response, { requests }) => response.writeHead(302, { location: requests.at(-1)?.url }).end(),
    complaint: /more than 10 redirects/,
  },
  {
    name: 'redirects to a file of this machine',
    misdeed: (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    complaint: /not an http or https address/,
  },
  {
    name: 'answers with a page and 200',
    misdeed: (response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Log in</title>'),
    complaint: /no zstd/,
  },
  {
    name: 'answers with nothing and 200',
    misdeed: (response) => response.writeHead(200).end(),
    complaint: /ends in the middle|no zstd/,
  },
  {
    name: 'answers with an error',
    misdeed: (response) => response.writeHead(500).end('<title>Internal Server Error</title>'),
    complaint: /HTTP 500/,
  },
];

describe('a hostile server', () => {
  it.each(MISDEEDS)('that $name gives nothing', async ({ misdeed, complaint, http }) => {
    const cache = await honestCache();
    await using server = await serve(cache.folder, archive(cache.rom), misdeed);
    const outcome = await ask(server.url, cache, http);
    expect(outcome.warnings).toEqual([expect.stringMatching(complaint)]);
    await expectNothing(outcome);
  });

  it('that redirects to another does not get the credentials there, and what comes is checked', async () => {
    const cache = await honestCache();
    await using thief = await loopback((_request, response) => response.end('what somebody else has'));
    await using server = await serve(cache.folder, archive(cache.rom), (response) =>
      response.writeHead(307, { location: `${thief.url}/x` }).end(),
    );
    const outcome = await ask(server.url, cache);
    expect(server.requests.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
    expect(thief.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(outcome.warnings.join()).not.toContain(TOKEN);
    await expectNothing(outcome);
  });

  it('that sends the page of a portal for everything is believed in nothing', async () => {
    const cache = await honestCache();
    await using server = await loopback((_request, response) => response.end('<!doctype html>\n<p>Pay first.</p>\n'));
    const outcome = await ask(server.url, cache);
    expect(outcome).toMatchObject({ believed: false, warnings: [expect.stringMatching(/no signed statement/)] });
    await expectNothing(outcome);
  });
});
