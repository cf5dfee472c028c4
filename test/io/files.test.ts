import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { exists, isWritable, removeTree, temporaryFolder, writeFileAtomic } from '../../src/io/files.ts';
import { temporary } from '../support/temporary.ts';

const isRoot = process.getuid?.() === 0;
const FILES = new URL('../../src/io/files.ts', import.meta.url).href;

describe('writing a file atomically', () => {
  it('never shows a reader anything but the old content or all of the new', async () => {
    const path = join(await temporary(), 'record');
    await writeFileAtomic(path, 'a'.repeat(200_000));
    // The reader has a thread of its own: in this one it could never come between two system calls.
    const reader = new Worker(
      `const { readFileSync } = require('node:fs'); const { workerData, parentPort } = require('node:worker_threads');
       let reads = 0, stop = false; parentPort.on('message', () => { stop = true; });
       (function again() { for (let i = 0; i < 20; i += 1) { const text = readFileSync(workerData, 'latin1'); reads += 1;
         if (text.length !== 200000 || text !== text[0].repeat(200000)) { parentPort.postMessage('torn: ' + text.length); return; } }
         if (stop) parentPort.postMessage(reads > 0 ? 'whole' : 'no reads'); else setImmediate(again); })();`,
      { eval: true, workerData: path },
    );
    const verdict = new Promise((resolve, reject) => reader.on('message', resolve).on('error', reject));
    for (let index = 0; index < 60; index += 1) await writeFileAtomic(path, 'ab'.charAt(index % 2).repeat(200_000));
    reader.postMessage('stop');
    expect(await verdict).toBe('whole');
    await reader.terminate();
  });

  it('makes the folder, and leaves no temporary file', async () => {
    const folder = join(await temporary(), 'deep', 'er');
    await Promise.all(Array.from({ length: 10 }, (_, index) => writeFileAtomic(join(folder, 'x'), String(index))));
    expect(await readdir(folder)).toEqual(['x']);
    expect(await readFile(join(folder, 'x'), 'utf8')).toMatch(/^\d$/);
  });

  it('leaves no temporary file when it fails, and the old content as it was', async () => {
    const folder = await temporary();
    await mkdir(join(folder, 'x', 'y'), { recursive: true });
    await expect(writeFileAtomic(join(folder, 'x'), 'new')).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await readdir(folder)).toEqual(['x']);
    expect(await readdir(join(folder, 'x'))).toEqual(['y']);
  });

  it('is flushed before it gets its name, and the folder afterwards (needs strace)', async ({ skip }) => {
    if (spawnSync('strace', ['-V']).error !== undefined) return skip('strace is not installed');
    const folder = await temporary();
    const script = `const { writeFileAtomic } = await import(${JSON.stringify(FILES)});
      await writeFileAtomic(${JSON.stringify(join(folder, 'x'))}, 'data');`;
    const strace = ['-f', '-qq', '-y', '-e', 'trace=fsync,rename,renameat,renameat2', '-o', join(folder, 'trace')];
    spawnSync('strace', [...strace, process.execPath, '--input-type=module', '-e', script]);
    const calls = (await readFile(join(folder, 'trace'), 'utf8'))
      .split('\n')
      .filter((line) => line.includes(folder) && !line.includes('resumed'))
      .map((line) => /(fsync|rename)/.exec(line)?.[0]);
    expect(calls).toEqual(['fsync', 'rename', 'fsync']);
    return undefined;
  });
});

describe('looking at files', () => {
  it('takes a dangling link for existing, and a path below a file for not', async () => {
    const folder = await temporary();
    await symlink('nowhere', join(folder, 'link'));
    await writeFile(join(folder, 'file'), '');
    expect(await exists(join(folder, 'link'))).toBe(true);
    expect(await exists(join(folder, 'file', 'x'))).toBe(false);
    expect(await exists(join(folder, 'x'))).toBe(false);
  });

  it('tells whether a folder can be written to', async () => {
    expect(isWritable(await temporary())).toBe(true);
    expect(isWritable('/proc/self')).toBe(false);
    expect(isWritable('/nowhere')).toBe(false);
  });
});

describe('a temporary folder', () => {
  it('is private, and gone with its scope whatever happens in it', async () => {
    const parent = join(await temporary(), 'tmp');
    const work = async (): Promise<void> => {
      await using folder = await temporaryFolder(parent, 'mark.');
      expect((await readdir(parent)).join()).toMatch(/^mark\./);
      await mkdir(join(folder.path, 'a', 'b'), { recursive: true });
      throw new Error('the work');
    };
    await expect(work()).rejects.toThrow('the work');
    expect(await readdir(parent)).toEqual([]);
  });
});

describe('removing a tree', () => {
  const hostile = `
    mkdir -p a/b/c empty; : >a/b/c/file; ln -s / a/root; ln -s ../.. a/b/up; mkdir "$(printf 'n\\377me')"
    mkdir "$(printf 'n\\377me/in')"; : >"$(printf 'n\\377me/in/\\376')"; mkfifo a/pipe
    perl -e 'for (1 .. 60) { mkdir "n" x 200 or die; chdir "n" x 200 or die; } mkdir "last"; chmod 0, ".", "last"'
    chmod 000 a/b/c/file a/b/c a/b empty "$(printf 'n\\377me/in')"; chmod 500 a; chmod 0 "$(printf 'n\\377me')"`;

  it('removes what a build left, links and all, but nothing that links lead to', async () => {
    const folder = await temporary();
    await mkdir(join(folder, 'tree'));
    await writeFile(join(folder, 'outside'), 'kept');
    expect(spawnSync('bash', ['-euc', `${hostile}; ln -s ../outside link`], { cwd: join(folder, 'tree') }).status).toBe(
      0,
    );
    await removeTree(join(folder, 'tree'));
    expect(await readdir(folder)).toEqual(['outside']);
  });

  it.skipIf(!isRoot)('does so for a user without rights, too (needs root to become one)', async () => {
    const folder = await temporary();
    await chmod(folder, 0o777);
    const tree = join(folder, 'tree');
    await mkdir(tree);
    await chown(tree, 65534, 65534);
    const script = `const { removeTree } = await import(${JSON.stringify(FILES)}); await removeTree(${JSON.stringify(tree)});`;
    const asNobody = (command: string[]): { status: number | null; stderr: Buffer } =>
      spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command], { cwd: tree });
    expect(asNobody(['bash', '-euc', hostile]).status).toBe(0);
    const { status, stderr } = asNobody([process.execPath, '--input-type=module', '-e', script]);
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('is content if there is nothing', async () => {
    await removeTree(join(await temporary(), 'nothing'));
  });

  it('may be done by two at once', async () => {
    const folder = await temporary();
    for (let index = 0; index < 200; index += 1)
      await mkdir(join(folder, 'tree', `${index % 10}`, `${index}`), { recursive: true });
    await Promise.all([removeTree(join(folder, 'tree')), removeTree(join(folder, 'tree'))]);
    expect(await readdir(folder)).toEqual([]);
  });
});
