import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../src/io/files.ts';
import { openStore, openStoreForReading, scratchPrefix, stagingPath } from '../../src/store/openStore.ts';
import { temporary } from '../support/temporary.ts';

const isRoot = process.getuid?.() === 0;
const OPEN_STORE = new URL('../../src/store/openStore.ts', import.meta.url).href;
const FILES = new URL('../../src/io/files.ts', import.meta.url).href;

/** A process that opens the store, makes a scratch folder there, prints its path and lives on. */
async function holdScratch(root: string): Promise<{ path: string; kill: () => Promise<void> }> {
  const script = `const { openStore, scratchPrefix } = await import(${JSON.stringify(OPEN_STORE)});
    const { temporaryFolder } = await import(${JSON.stringify(FILES)});
    const { layout } = await openStore(${JSON.stringify(root)});
    process.stdout.write((await temporaryFolder(layout.temporary, scratchPrefix())).path); process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [path] = (await once(child.stdout, 'data')) as [Buffer];
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { path: path.toString(), kill };
}

describe('opening a store', () => {
  it('makes one where there is none, also by several at once', async () => {
    const root = join(await temporary(), 'deep', 'store');
    await Promise.all(Array.from({ length: 20 }, () => openStore(root)));
    expect((await readdir(root)).sort()).toEqual(['format', 'roots', 'running', 'tmp']);
    expect(await readFile(join(root, 'format'), 'utf8')).toBe('1\n');
  });

  it('makes one beside files that no store uses', async () => {
    const root = await temporary();
    await writeFile(join(root, 'README.md'), 'the default store');
    await openStore(root);
    expect((await readdir(root)).sort()).toEqual(['README.md', 'format', 'roots', 'running', 'tmp']);
  });

  it.each(['artifacts', 'tmp', 'images', 'logs', 'sources', 'last'])(
    'refuses a folder with %s/ that is not a store, and touches nothing in it',
    async (name) => {
      const root = await temporary();
      await mkdir(join(root, name));
      await writeFile(join(root, name, 'thesis.tex'), 'three years of work');
      await expect(openStore(root)).rejects.toMatchObject({
        code: 'STORE_UNUSABLE',
        message: expect.stringContaining(`has ${name}/ but no file`) as unknown,
      });
      expect(await readdir(root)).toEqual([name]);
      expect(await readdir(join(root, name))).toEqual(['thesis.tex']);
    },
  );

  it.each([
    ['newer', '2\n', /has format 2, newer than this vmbuild \(1\) knows/],
    ['much newer', '20261122\n', /newer/],
    ['no number', 'garbage', /says format "garbage"/],
    ['empty', '', /says format ""/],
    ['zero', '0\n', /says format "0\\n"/],
    ['of more than one line', '1\n2\n', /says format/],
  ])('refuses a format that is %s, and leaves the store alone', async (_what, text, message) => {
    const root = await temporary();
    const { layout } = await openStore(root);
    await writeFile(layout.format, text);
    await mkdir(join(layout.temporary, 'something'));
    await expect(openStore(root)).rejects.toMatchObject({
      code: 'STORE_UNUSABLE',
      message: expect.stringMatching(message) as unknown,
      hints: [expect.stringContaining('VMBUILD_STORE')] as unknown,
    });
    expect(await readdir(layout.temporary)).toEqual(['something']);
    expect(await readFile(layout.format, 'utf8')).toBe(text);
  });

  it.each([
    ['the store is a file', (root: string) => writeFile(root, '')],
    ['format is a folder', (root: string) => mkdir(join(root, 'format'), { recursive: true })],
    [
      'tmp is a file',
      async (root: string) => {
        await openStore(root);
        await rm(join(root, 'tmp'), { recursive: true });
        await writeFile(join(root, 'tmp'), '');
      },
    ],
  ])('says that the store is unusable where %s', async (_what, spoil) => {
    const root = join(await temporary(), 'store');
    await spoil(root);
    await expect(openStore(root)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
  });

  it.skipIf(!isRoot)('says so on a read-only file system (needs root to mount one)', async () => {
    const root = await temporary();
    await openStore(root);
    execFileSync('mount', ['--bind', root, root]);
    try {
      execFileSync('mount', ['-o', 'remount,bind,ro', root]);
      await expect(openStore(root)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
      await expect(openStore(join(root, 'new'))).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
    } finally {
      execFileSync('umount', ['--lazy', root]);
    }
  });

  it.skipIf(!isRoot)('says so to a user who may not write (needs root to become one)', async () => {
    const root = await temporary();
    await openStore(root);
    await chmod(root, 0o755);
    const script = `const { openStore } = await import(${JSON.stringify(OPEN_STORE)});
      await openStore(${JSON.stringify(root)}).catch((error) => process.stdout.write(error.code));`;
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const { stdout } = spawnSync('setpriv', [...user, process.execPath, '--input-type=module', '-e', script]);
    expect(stdout.toString()).toBe('STORE_UNUSABLE');
  });
});

describe('scratch folders', () => {
  it('of living processes stay, of dead ones go when a store is opened, and of nobody stay', async () => {
    const root = join(await temporary(), 'store');
    const { layout } = await openStore(root);
    const [living, dying] = [await holdScratch(root), await holdScratch(root)];
    await using own = await temporaryFolder(layout.temporary, scratchPrefix());
    await mkdir(join(layout.temporary, 'unmarked'));
    await mkdir(join(dying.path, 'build', 'deep'), { recursive: true });
    await dying.kill();
    await openStore(root);
    expect([living.path, dying.path, own.path].map((path) => existsSync(path))).toEqual([true, false, true]);
    expect(existsSync(join(layout.temporary, 'unmarked'))).toBe(true);
  });

  it('of a dead process may be swept by several at once', async () => {
    const root = join(await temporary(), 'store');
    const dead = await holdScratch(root);
    for (let index = 0; index < 100; index += 1)
      await mkdir(join(dead.path, `${index % 7}`, `${index}`), { recursive: true });
    await dead.kill();
    await Promise.all(Array.from({ length: 8 }, () => openStore(root)));
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });
});

describe('temporary files', () => {
  it('of who was killed while it wrote a record, or made the store, go when a store is opened', async () => {
    const root = await temporary();
    const dead = '00000000.1.1.1.17.abc.tmp';
    await writeFile(join(root, `.format.${dead}`), '');
    await writeFile(join(root, `.format.${scratchPrefix()}17.abc.tmp`), '');
    const store = await openStore(root);
    expect((await readdir(root)).sort()).toEqual([
      `.format.${scratchPrefix()}17.abc.tmp`,
      'format',
      'roots',
      'running',
      'tmp',
    ]);
    await writeFile(join(root, 'tmp', dead), '');
    await writeFile(`${stagingPath(store)}17.abc.tmp`, '');
    // Killed while another, that was faster, made the same store.
    await writeFile(join(root, `.format.${dead}`), '');
    await openStore(root);
    expect(await readdir(root)).not.toContain(`.format.${dead}`);
    expect(await readdir(join(root, 'tmp'))).toEqual([`${scratchPrefix()}17.abc.tmp`]);
  });
});

describe('a store that is only looked into', () => {
  it('is not made where there is none', async () => {
    const root = join(await temporary(), 'store');
    await openStoreForReading(root);
    await expect(readdir(root)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is left as it is, rubbish in tmp/ and all', async () => {
    const root = await temporary();
    await openStore(root);
    await mkdir(join(root, 'tmp', '00000000.1.1.rubbish'));
    await openStoreForReading(root);
    expect(await readdir(join(root, 'tmp'))).toHaveLength(1);
  });

  it('is refused if it is of a newer format, like any other', async () => {
    const root = await temporary();
    await writeFile(join(root, 'format'), '999\n');
    await expect(openStoreForReading(root)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
  });
});
