import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acquireLock } from '../../src/io/lock.ts';
import { temporary } from '../support/temporary.ts';

const HOLDER = fileURLToPath(new URL('./holdLock.ts', import.meta.url));
const patient = { signal: new AbortController().signal };

/** A process that takes the lock, and a way to wait for a line of its output. */
function holder(path: string): { child: ChildProcess; says: (text: string) => Promise<void>; said: () => string } {
  const child = spawn(process.execPath, [HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const says = async (text: string): Promise<void> => {
    while (!output.includes(text)) await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  };
  return { child, says, said: () => output };
}

describe('a lock', () => {
  it('excludes other callers of this process, and lets each of them in', async () => {
    const path = join(await temporary(), 'locks', 'one');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      await using _lock = await acquireLock(path, patient);
      inside += 1;
      most = Math.max(most, inside);
      await sleep(5);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 6 }, work));
    expect(most).toBe(1);
    expect(inside).toBe(0);
  });

  it('does not exclude who wants another one', async () => {
    const folder = await temporary();
    await using _one = await acquireLock(join(folder, 'one'), patient);
    await using _two = await acquireLock(join(folder, 'two'), patient);
  });

  it('excludes other processes, and tells once that it waits', async () => {
    const path = join(await temporary(), 'lock');
    const other = holder(path);
    await other.says('locked');
    let waits = 0;
    let released = false;
    const waiting = acquireLock(path, { ...patient, onWait: () => (waits += 1) });
    void waiting.then(() => expect(released).toBe(true));
    await sleep(350);
    released = true;
    other.child.stdin?.end();
    await (await waiting)[Symbol.asyncDispose]();
    expect(waits).toBe(1);
  });

  it('keeps another process out while it is held here', async () => {
    const path = join(await temporary(), 'lock');
    const lock = await acquireLock(path, patient);
    const other = holder(path);
    await sleep(500);
    expect(other.said()).toBe('');
    await lock[Symbol.asyncDispose]();
    await other.says('locked');
  });

  it('is free as soon as its holder is killed', async () => {
    const path = join(await temporary(), 'lock');
    const other = holder(path);
    await other.says('locked');
    other.child.kill('SIGKILL');
    await once(other.child, 'exit');
    let waits = 0;
    await using _lock = await acquireLock(path, { ...patient, onWait: () => (waits += 1) });
    expect(waits).toBe(0);
  });

  it('can be waited for in vain: aborting ends the wait and leaves the lock to its holder', async () => {
    const path = join(await temporary(), 'lock');
    await using _lock = await acquireLock(path, patient);
    const controller = new AbortController();
    const waiting = acquireLock(path, { signal: controller.signal, onWait: () => controller.abort() });
    await expect(waiting).rejects.toThrow(/abort/);
    const again = new AbortController();
    await expect(acquireLock(path, { signal: again.signal, onWait: () => again.abort() })).rejects.toThrow(/abort/);
  });

  it('is not even asked for when aborted already', async () => {
    const path = join(await temporary(), 'lock');
    await expect(acquireLock(path, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
  });

  it('is an empty file and nothing else while it is held, when it is released, and when its holder is killed', async () => {
    const folder = await temporary();
    const expectOnlyLock = async (): Promise<void> => {
      expect(await readdir(folder)).toEqual(['lock']);
      expect((await stat(join(folder, 'lock'))).size).toBe(0);
    };
    {
      await using _lock = await acquireLock(join(folder, 'lock'), patient);
      await expectOnlyLock();
    }
    await expectOnlyLock();
    const other = holder(join(folder, 'lock'));
    await other.says('locked');
    other.child.kill('SIGKILL');
    await once(other.child, 'exit');
    await expectOnlyLock();
  });

  const namespaces = spawnSync('unshare', ['-rm', 'true']).status === 0;
  it.skipIf(!namespaces)('on a disk that is full says so (needs a mount namespace)', async () => {
    const folder = await temporary();
    // A file system for one folder and nothing in it.
    const shell = 'mount -t tmpfs -o nr_inodes=1 tmpfs "$0" && exec "$@"';
    const args = ['-rm', 'sh', '-c', shell, folder, process.execPath, HOLDER, join(folder, 'lock')];
    const { stderr, stdout } = spawnSync('unshare', args);
    expect(stdout.toString()).toBe('');
    expect(stderr.toString()).toContain("code: 'DISK_FULL'");
  });

  it('says what is wrong where there can be none', async () => {
    const folder = await temporary();
    await mkdir(join(folder, 'lock'));
    await expect(acquireLock(join(folder, 'lock'), patient)).rejects.toMatchObject({
      code: 'STORE_UNUSABLE',
      message: expect.stringContaining(join(folder, 'lock')) as unknown,
    });
    await writeFile(join(folder, 'damaged'), 'this is no lock file'.repeat(1000));
    await chmod(join(folder, 'damaged'), 0o600);
    await expect(acquireLock(join(folder, 'damaged'), patient)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
  });
});
