import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { checkCache, type CacheFinding } from '../../src/build/caches/checkCache.ts';
import { collectCache, type CollectOptions } from '../../src/build/caches/collectCache.ts';
import { copyCache } from '../../src/build/caches/copyCache.ts';
import { pathsIn } from '../../src/build/caches/pathsOf.ts';
import { archiveFolder } from '../../src/build/packArchive.ts';
import { sha256 } from '../../src/model/digest.ts';
import { formatEnvelopes } from '../../src/model/envelope.ts';
import { openStore } from '../../src/store/openStore.ts';
import { changeEnvelopes } from '../../src/substituters/appendLines.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import { loopback } from '../io/loopback.ts';
import { temporary } from '../support/temporary.ts';
import { cacheAt } from './sharing.ts';
import { adoptStatedTree, type Stated } from './stated.ts';

const alice = generateSigningKey();
const { signal } = new AbortController();
const DAY = 24 * 3600 * 1000;

/** A cache in a folder: an artifact that Alice has signed, one that nobody speaks of, and a source. */
interface Sample {
  readonly folder: string;
  readonly cache: ObjectStore;
  readonly rom: Stated;
  readonly lonely: Stated;
  readonly statements: string;
  readonly at: (path: string) => string;
}

const archive = ({ digest }: Stated): string => `artifacts/${digest}.tar.zst`;

async function sample(): Promise<Sample> {
  const folder = await temporary();
  const at = (path: string): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    return join(folder, path);
  };
  const origin = await openStore(await temporary());
  const rom = await adoptStatedTree(origin, 'rom', { 'rom.bin': 'a rom' });
  const lonely = await adoptStatedTree(origin, 'lonely', { x: 'something else' });
  for (const stated of [rom, lonely]) {
    await archiveFolder(origin.layout.tree(stated.digest), at(archive(stated)), signal);
  }
  const { id, text } = alice.publicKey;
  const statements = `statements/${rom.key}/${id}.jsonl`;
  writeFileSync(at(statements), formatEnvelopes([signStatement(rom.statement, alice)]));
  writeFileSync(at('signers.json'), JSON.stringify({ [id]: text }));
  writeFileSync(at(`sources/${sha256('a source')}`), 'a source');
  return { folder, cache: cacheAt(`file://${folder}`), rom, lonely, statements, at };
}

async function check({ cache }: Sample): Promise<readonly string[]> {
  const found: CacheFinding[] = [];
  await checkCache(cache, await pathsIn(cache, []), { signal, onFinding: (finding) => void found.push(finding) });
  return found.map(({ trouble, path }) => `${trouble} ${path}`).sort();
}

const listed = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.lock')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

describe('vmbuild cache check', () => {
  it('finds nothing wrong with what is right', async () => {
    expect(await check(await sample())).toEqual([]);
  });

  const damages: readonly [string, (it: Sample) => void, (it: Sample) => string][] = [
    [
      'an archive with a bit turned over',
      ({ at, rom }) => {
        const bytes = readFileSync(at(archive(rom)));
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 4, bytes.length - 20);
        writeFileSync(at(archive(rom)), bytes);
      },
      ({ rom }) => `damaged ${archive(rom)}`,
    ],
    [
      'an archive under another name',
      ({ at, rom, lonely }) => writeFileSync(at(archive(lonely)), readFileSync(at(archive(rom)))),
      ({ lonely }) => `damaged ${archive(lonely)}`,
    ],
    [
      'a source that is another',
      ({ at }) => writeFileSync(at(`sources/${sha256('a source')}`), 'A source'),
      () => `damaged sources/${sha256('a source')}`,
    ],
    ['an artifact that is gone', ({ at, rom }) => rmSync(at(archive(rom))), ({ rom }) => `missing ${archive(rom)}`],
    [
      'a statement about another build key',
      ({ at, statements, lonely }) =>
        writeFileSync(at(statements), formatEnvelopes([signStatement(lonely.statement, alice)])),
      ({ statements }) => `damaged ${statements}`,
    ],
    [
      'a signature of somebody else',
      ({ at, statements, rom }) => {
        const envelope = signStatement(rom.statement, generateSigningKey());
        const signatures = envelope.signatures.map(({ sig }) => ({ keyid: alice.publicKey.id, sig }));
        writeFileSync(at(statements), formatEnvelopes([{ ...envelope, signatures }]));
      },
      ({ statements }) => `damaged ${statements}`,
    ],
    ['something foreign', ({ at }) => writeFileSync(at('notes.txt'), 'x'), () => 'extra notes.txt'],
    [
      'an upload that never ended',
      ({ at, rom }) => writeFileSync(at(`${archive(rom)}.1.x.tmp`), 'x'),
      ({ rom }) => `leftover ${archive(rom)}.1.x.tmp`,
    ],
  ];

  it.each(damages)('finds %s', async (_name, damage, finding) => {
    const it = await sample();
    damage(it);
    expect(await check(it)).toEqual([finding(it)]);
  });
});

describe('vmbuild cache copy', () => {
  const copy = async (from: ObjectStore, to: ObjectStore) => {
    const leftOut: string[] = [];
    const summary = await copyCache(from, to, await pathsIn(from, []), {
      signal,
      onCopied: () => {},
      onLeftOut: (path) => void leftOut.push(path),
    });
    return { ...summary, leftOut };
  };

  it('gives the same cache, and the second time nothing', async () => {
    const it = await sample();
    const folder = await temporary();
    const to = cacheAt(`file://${folder}`);
    expect(await copy(it.cache, to)).toMatchObject({ written: 3, present: 0, leftOut: [] });
    expect(listed(folder)).toEqual(listed(it.folder));
    for (const path of listed(folder).filter((each) => each !== 'signers.json')) {
      expect(readFileSync(join(folder, path)).equals(readFileSync(it.at(path)))).toBe(true);
    }
    expect(await copy(it.cache, to)).toMatchObject({ written: 0, present: 3 });
  });

  it('leaves out what is damaged, and what is said of it', async () => {
    const it = await sample();
    writeFileSync(it.at(archive(it.rom)), 'x');
    const folder = await temporary();
    const summary = await copy(it.cache, cacheAt(`file://${folder}`));
    expect(summary).toMatchObject({ written: 2, leftOut: [archive(it.rom)] });
    expect(existsSync(join(folder, it.statements))).toBe(false);
  });

  it('wants targets of what cannot list', async () => {
    await using server = await loopback((_request, response) => response.writeHead(404).end());
    await expect(pathsIn(cacheAt(server.url), [])).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('vmbuild cache gc', () => {
  /** Makes everything in a cache this old. */
  const age = (folder: string, ms: number): void => {
    const at = new Date(Date.now() - ms);
    for (const path of listed(folder)) utimesSync(join(folder, path), at, at);
  };
  const collect = (cache: ObjectStore, options: Partial<CollectOptions> = {}) =>
    collectCache(cache, { targets: [], graceMs: 7 * DAY, dryRun: false, signal, onRemoved: () => {}, ...options });

  it('removes what no statement names, once it is old, and uploads that never ended', async () => {
    const it = await sample();
    writeFileSync(it.at(`${archive(it.rom)}.1.x.tmp`), 'x');
    writeFileSync(it.at('notes.txt'), 'somebody else made it');
    expect(await collect(it.cache)).toMatchObject({ removed: 0 });
    age(it.folder, 8 * DAY);
    expect(await collect(it.cache, { dryRun: true })).toMatchObject({ removed: 2 });
    expect(await collect(it.cache)).toMatchObject({ removed: 2 });
    const source = `sources/${sha256('a source')}`; // of an image, for all that is known
    expect(listed(it.folder)).toEqual([archive(it.rom), 'notes.txt', 'signers.json', source, it.statements].sort());
    expect(await check(it)).toEqual(['extra notes.txt']);
  });

  it('spares what somebody has written again since it was listed', async () => {
    const it = await sample();
    writeFileSync(it.at(`${archive(it.rom)}.1.x.old.tmp`), 'x');
    age(it.folder, 8 * DAY);
    const { list } = it.cache;
    const slow: ObjectStore = {
      ...it.cache,
      list: async function* () {
        yield* list?.() ?? [];
        // A push relies on it now.
        const now = new Date();
        utimesSync(it.at(archive(it.lonely)), now, now);
      },
    };
    expect(await collect(slow)).toMatchObject({ removed: 1 });
    expect(existsSync(it.at(archive(it.lonely)))).toBe(true);
    expect(readdirSync(dirname(it.at(archive(it.lonely)))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('removes nothing if a statement cannot be read', async () => {
    const it = await sample();
    writeFileSync(it.at(it.statements), 'x\n');
    age(it.folder, 8 * DAY);
    await expect(collect(it.cache)).rejects.toMatchObject({ code: 'CACHE_UNUSABLE' });
    expect(existsSync(it.at(archive(it.lonely)))).toBe(true);
  });

  it('finds old statements young after a push has relied on them', async () => {
    const it = await sample();
    age(it.folder, 5 * DAY);
    await changeEnvelopes(it.cache, it.statements, () => undefined);
    const facts = await it.cache.stat(it.statements);
    expect(Date.now() - (facts?.writtenAt ?? 0)).toBeLessThan(DAY);
    expect(await check(it)).toEqual([]);
  });
});
