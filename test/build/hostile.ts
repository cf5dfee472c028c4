import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { archiveFolder } from '../../src/build/packArchive.ts';
import { createSubstitution } from '../../src/build/substitution.ts';
import { formatEnvelopes } from '../../src/model/envelope.ts';
import { sha256 } from '../../src/model/digest.ts';
import type { Source } from '../../src/model/source.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import { openSubstituter, type Substituter } from '../../src/substituters/substituter.ts';
import { trusting } from '../attest/statements.ts';
import { type Loopback, loopback } from '../io/loopback.ts';
import { temporary } from '../support/temporary.ts';
import { adoptStatedTree, findings, leftIn, type Stated } from './stated.ts';

// What a cache may do to whoever believes Alice, and does not believe the cache.

export const alice = generateSigningKey();
export const mallory = generateSigningKey();
export const TOKEN = 'a-token-of-the-test';
const { signal } = new AbortController();

/** A cache in a folder with two artifacts that Alice has signed, and a source. */
export interface Cache {
  readonly folder: string;
  readonly rom: Stated;
  readonly other: Stated;
  readonly source: Source;
  readonly at: (path: string) => string;
}

export const archive = ({ digest }: Stated): string => `artifacts/${digest}.tar.zst`;
export const statements = ({ key }: Stated): string => `statements/${key}/${alice.publicKey.id}.jsonl`;

export async function honestCache(): Promise<Cache> {
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
export type Misdeed = (response: ServerResponse, server: Loopback) => unknown;

export async function serve(folder: string, path: string, misdeed: Misdeed | undefined): Promise<Loopback> {
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

export async function ask(address: string, { rom }: Cache, http: object = {}): Promise<Outcome> {
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

export function substituter(address: string, warnings: string[], http: object = {}): Substituter {
  const options = { ...CACHE_HTTP, backoff: 1, idleTimeout: 60_000, connectTimeout: 60_000, ...http, signal };
  const cache = openCache(address, { credentials: () => ({ token: TOKEN }), http: options });
  return openSubstituter(cache, signal, (message) => void warnings.push(message));
}

/** Nothing of it is in the store, and nothing is left of the attempt. The record says only what Alice has signed. */
export async function expectNothing({ store, fetched }: Outcome): Promise<void> {
  expect(fetched).toBe(false);
  expect(leftIn(store).filter((path) => !path.startsWith('realisations/'))).toEqual([]);
  expect(await findings(store)).toEqual([]);
}

/** Something that is wrong with what lies in a cache, whoever hands it out. */
export interface Wrong {
  readonly name: string;
  readonly damage: (cache: Cache) => unknown;
  /** The warning; none where nothing is believed in the first place. */
  readonly complaint?: RegExp;
}

/** Where a cache can be asked, as long as the scope lasts. */
export async function openBehind(
  kind: 'file' | 'http',
  cache: Cache,
): Promise<AsyncDisposable & { readonly address: string }> {
  if (kind === 'file') return { address: `file://${cache.folder}`, [Symbol.asyncDispose]: () => Promise.resolve() };
  const server = await serve(cache.folder, '', undefined);
  return { address: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Whatever is wrong with a cache, it gives nothing, and says so where something was believed. */
export function givesNothing(kind: 'file' | 'http', wrong: readonly Wrong[]): void {
  it.each(wrong)('gives nothing with $name', async ({ damage, complaint }) => {
    const cache = await honestCache();
    await damage(cache);
    await using opened = await openBehind(kind, cache);
    const outcome = await ask(opened.address, cache);
    await expectNothing(outcome);
    if (complaint === undefined) expect(outcome).toMatchObject({ believed: false, warnings: [] });
    else expect(outcome.warnings).toEqual([expect.stringMatching(complaint)]);
    if (complaint !== undefined) expect(outcome.warnings[0]).toContain('is not asked any more');
  });
}
