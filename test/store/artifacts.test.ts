import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { sha256 } from '../../src/model/digest.ts';
import { adoptTree, findTree, markCollected } from '../../src/store/artifacts.ts';
import { adoptImage, findImage } from '../../src/store/images.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { adoptSource, findSource } from '../../src/store/sources.ts';
import { completedCalls } from '../support/strace.ts';
import { temporary } from '../support/temporary.ts';

const isRoot = process.getuid?.() === 0;

async function folderIn(store: Store, content = 'content'): Promise<string> {
  const folder = await mkdtemp(join(store.layout.temporary, 'x-'));
  await mkdir(join(folder, 'sub'), { mode: 0o700 });
  await writeFile(join(folder, 'sub', 'file'), content, { mode: 0o600 });
  await writeFile(join(folder, 'run'), '#!/bin/sh\n', { mode: 0o711 });
  await symlink('sub/file', join(folder, 'link'));
  return folder;
}

describe('taking a tree into the store', () => {
  it('moves it under its digest, with canonical modes', async () => {
    const store = await openStore(await temporary());
    const folder = await folderIn(store);
    const facts = await adoptTree(store, folder);
    const path = store.layout.tree(facts.digest);
    expect(await findTree(store, facts.digest)).toBe(path);
    expect(treeDigest(path, listTree(path))).toBe(facts.digest);
    const modes = await Promise.all(['', 'sub', 'sub/file', 'run'].map((name) => stat(join(path, name))));
    expect(modes.map(({ mode }) => mode & 0o7777)).toEqual([0o755, 0o755, 0o644, 0o755]);
    expect(await readdir(store.layout.temporary)).toEqual([]);
  });

  it('twice leaves the first where it was', async () => {
    const store = await openStore(await temporary());
    const { digest } = await adoptTree(store, await folderIn(store));
    const first = await stat(store.layout.tree(digest));
    expect((await adoptTree(store, await folderIn(store))).digest).toBe(digest);
    expect((await stat(store.layout.tree(digest))).ino).toBe(first.ino);
    expect(await readdir(store.layout.temporary)).toEqual([]);
  });

  it('at once by several gives all of them the same, whole', async () => {
    const store = await openStore(await temporary());
    const folders = await Promise.all(Array.from({ length: 6 }, () => folderIn(store)));
    const all = await Promise.all(folders.map((folder) => adoptTree(store, folder)));
    expect(new Set(all.map(({ digest }) => digest)).size).toBe(1);
    const [{ digest } = { digest: sha256('') }] = all;
    expect(treeDigest(store.layout.tree(digest), listTree(store.layout.tree(digest)))).toBe(digest);
    expect(await readdir(store.layout.temporary)).toEqual([]);
    expect(await readdir(join(store.layout.root, 'artifacts'))).toEqual([digest]);
  });

  it('that was collected leaves no moment in which it is neither there nor noted as collected', async () => {
    const store = await openStore(await temporary());
    const { digest } = await adoptTree(store, await folderIn(store));
    const tree = store.layout.tree(digest);
    markCollected(store, digest);
    await rm(tree, { recursive: true });
    let done = false;
    const adopted = adoptTree(store, await folderIn(store)).finally(() => (done = true));
    // A check beside it looks whenever it likes. Here: whenever the adoption waits for the disk.
    let looks = 0;
    for (; !done; looks += 1) {
      expect(existsSync(tree) || existsSync(store.layout.collected(digest))).toBe(true);
      await setImmediate();
    }
    expect(looks).toBeGreaterThan(1);
    expect((await adopted).digest).toBe(digest);
    expect(existsSync(store.layout.collected(digest))).toBe(false);
  });

  it('refuses what cannot be an artifact, and stores nothing', async () => {
    const store = await openStore(await temporary());
    const folder = await folderIn(store);
    await chmod(join(folder, 'run'), 0o4755);
    await expect(adoptTree(store, folder)).rejects.toMatchObject({ code: 'OUTPUT_INVALID' });
    expect((await readdir(store.layout.root)).includes('artifacts')).toBe(false);
  });

  it.for([
    // Two files and two folders.
    { size: 'small', more: 0, flushes: ['fsync', 'fsync', 'fsync', 'fsync'] },
    { size: 'large', more: 100, flushes: ['syncfs'] },
  ])(
    'flushes a $size tree before it has its name, and its name before this returns (needs strace)',
    async ({ more, flushes }, { skip }) => {
      if (spawnSync('strace', ['-V']).error !== undefined) return skip('strace is not installed');
      const store = await openStore(await temporary());
      const folder = await folderIn(store);
      for (let index = 0; index < more; index += 1) await writeFile(join(folder, 'sub', String(index)), '');
      const artifacts = new URL('../../src/store/artifacts.ts', import.meta.url).href;
      const script = `const { adoptTree } = await import(${JSON.stringify(artifacts)});
      const { openStore } = await import(${JSON.stringify(new URL('../../src/store/openStore.ts', import.meta.url).href)});
      await adoptTree(await openStore(${JSON.stringify(store.layout.root)}), ${JSON.stringify(folder)});`;
      const trace = join(store.layout.root, 'trace');
      const program = join(store.layout.root, 'program.mjs');
      await writeFile(program, script);
      const calls = 'trace=syncfs,fsync,rename,renameat,renameat2,chmod,fchmodat';
      const strace = ['-f', '-qq', '-y', '-e', calls, '-o', trace];
      execFileSync('strace', [...strace, process.execPath, program]);
      const order = completedCalls(await readFile(trace, 'utf8'))
        .filter((line) => line.includes(folder) || line.includes(join(store.layout.root, 'artifacts')))
        .map((line) => /\b(syncfs|fsync|rename|chmod|fchmod)\(/.exec(line)?.[1])
        .filter((call) => call !== undefined);
      expect(order.slice(order.lastIndexOf('chmod') + 1)).toEqual([...flushes, 'rename', 'fsync']);
      return undefined;
    },
  );

  it.skipIf(!isRoot)('on a full disk says so, and keeps no half of it (needs root to mount a small disk)', async () => {
    const root = await temporary();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=12', 'tmpfs', root]);
    try {
      const store = await openStore(root);
      const folder = await folderIn(store);
      let full = false;
      for (let index = 0; !full; index += 1) await writeFile(join(root, `fill${index}`), '').catch(() => (full = true));
      await expect(adoptTree(store, folder)).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect((await readdir(root)).includes('artifacts')).toBe(false);
    } finally {
      execFileSync('umount', ['--lazy', root]);
    }
  });
});

describe('an image', () => {
  const config = '{"os":"linux"}';
  const digest = sha256(config);
  const MADE = { rootfs: sha256('root'), sources: [] };

  async function rootfsIn(store: Store): Promise<string> {
    const folder = await mkdtemp(join(store.layout.temporary, 'image-'));
    await mkdir(join(folder, 'rootfs'));
    await writeFile(join(folder, 'rootfs', 'file'), '');
    return join(folder, 'rootfs');
  }

  it('is found once it is whole', async () => {
    const store = await openStore(await temporary());
    expect(await findImage(store, digest)).toBeUndefined();
    const image = await adoptImage(store, await rootfsIn(store), config, MADE);
    expect(image).toEqual({ digest, rootfs: join(store.layout.image(digest), 'rootfs'), config });
    expect(await findImage(store, digest)).toEqual(image);
  });

  it('that is there already stays in place, since builds may be running in it', async () => {
    const store = await openStore(await temporary());
    const { rootfs } = await adoptImage(store, await rootfsIn(store), config, MADE);
    const before = await stat(rootfs);
    await adoptImage(store, await rootfsIn(store), config, MADE);
    expect((await stat(rootfs)).ino).toBe(before.ino);
  });

  it.each([
    ['no config', (folder: string) => mkdir(join(folder, 'rootfs'), { recursive: true })],
    [
      'half a config',
      async (folder: string) => {
        await mkdir(join(folder, 'rootfs'), { recursive: true });
        await writeFile(join(folder, 'config.json'), config.slice(1));
      },
    ],
    [
      'no root',
      async (folder: string) => {
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, 'config.json'), config);
      },
    ],
    [
      'the config of another',
      async (folder: string) => {
        await mkdir(join(folder, 'rootfs'), { recursive: true });
        await writeFile(join(folder, 'config.json'), '{"os":"plan9"}');
      },
    ],
  ])('with %s is none, and is replaced', async (_what, spoil) => {
    const store = await openStore(await temporary());
    await spoil(store.layout.image(digest));
    expect(await findImage(store, digest)).toBeUndefined();
    await adoptImage(store, await rootfsIn(store), config, MADE);
    expect((await findImage(store, digest))?.config).toBe(config);
  });
});

describe('a source', () => {
  it('that is a file lies under its digest', async () => {
    const store = await openStore(await temporary());
    const content = { kind: 'file', digest: sha256('source') } as const;
    const path = join(store.layout.temporary, 'download');
    await writeFile(path, 'source');
    expect(await findSource(store, content)).toBeUndefined();
    expect(await adoptSource(store, content, path)).toBe(await findSource(store, content));
    expect(await readFile((await findSource(store, content)) ?? '', 'utf8')).toBe('source');
  });

  it('that is a tree shares the place of artifacts', async () => {
    const store = await openStore(await temporary());
    const folder = await folderIn(store);
    const digest = treeDigest(folder, listTree(folder));
    await adoptSource(store, { kind: 'tree', digest }, folder);
    expect(await findTree(store, digest)).toBeDefined();
  });

  it('that is not the tree it was taken for is an error', async () => {
    const store = await openStore(await temporary());
    const wrong = { kind: 'tree', digest: sha256('another') } as const;
    await expect(adoptSource(store, wrong, await folderIn(store))).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await findSource(store, wrong)).toBeUndefined();
  });
});
