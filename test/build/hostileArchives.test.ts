import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { cachedSource } from '../../src/build/cachedSource.ts';
import { archiveFolder } from '../../src/build/packArchive.ts';
import { fetchSource } from '../../src/fetchers/fetchSource.ts';
import { openStore } from '../../src/store/openStore.ts';
import { HOSTILE_ARCHIVES } from '../support/hostileArchives.ts';
import { temporary } from '../support/temporary.ts';
import { archive, ask, givesNothing, honestCache, openBehind, substituter, type Wrong } from './hostile.ts';
import { adoptStatedTree, findings, leftIn } from './stated.ts';

const { signal } = new AbortController();

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
];

describe.each(['file', 'http'] as const)('hostile archives behind %s://', (kind) => {
  it('would be believed if it were honest', async () => {
    const cache = await honestCache();
    await using opened = await openBehind(kind, cache);
    const outcome = await ask(opened.address, cache);
    expect(outcome).toMatchObject({ believed: true, fetched: true, warnings: [] });
    expect(existsSync(join(outcome.store.layout.tree(cache.rom.digest), 'd/x'))).toBe(true);
    expect(await findings(outcome.store)).toEqual([]);
  });

  givesNothing(kind, WRONG);

  it('gives no source under a wrong name, though others would take it for right', async () => {
    const cache = await honestCache();
    const { digest } = cache.source;
    writeFileSync(cache.at(`sources/${digest}`), 'A source');
    await using opened = await openBehind(kind, cache);
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
