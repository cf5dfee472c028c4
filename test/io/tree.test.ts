import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, link, mkdir, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectTree } from '../../src/io/inspectTree.ts';
import { listTree, packTree, treeDigest } from '../../src/io/tree.ts';
import { sha256 } from '../../src/model/digest.ts';
import { temporary } from '../support/temporary.ts';

/** The command of docs/formats.md: what anyone can check an artifact with. */
const GNU_TAR =
  'find . -print0 | LC_ALL=C sort -z | tar --no-recursion --null -T - --format=gnu -b20 --hard-dereference ' +
  '--mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf -';

function gnuTar(folder: string): Buffer {
  return execFileSync('bash', ['-c', GNU_TAR], { cwd: folder, maxBuffer: 1 << 30 });
}

function ours(folder: string): Buffer {
  // Each piece must be copied before the next is asked for.
  return Buffer.concat(Array.from(packTree(folder, listTree(folder)), (piece) => Buffer.from(piece)));
}

const noGnuTar = /GNU tar/.test(spawnSync('tar', ['--version']).stdout?.toString() ?? '')
  ? undefined
  : 'no GNU tar here';

/** Everything that a tree can hold, with names that sort differently by bytes, by UTF-16 and in most languages. */
async function oddTree(): Promise<string> {
  const folder = await temporary();
  await mkdir(join(folder, 'a'));
  await mkdir(join(folder, 'a.b'));
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'a', 'run'), '#!/bin/sh\n', { mode: 0o700 });
  await writeFile(join(folder, 'a-b'), 'x'.repeat(511), { mode: 0o600 });
  await writeFile(join(folder, 'a.b', 'block'), 'x'.repeat(512));
  await writeFile(join(folder, 'nothing'), '');
  await writeFile(join(folder, 'name\nwith "all" \\ kinds of\tthings'), 'y');
  await writeFile(join(folder, 'übergrößenträger 😀'), 'z');
  await writeFile(join(folder, '\ufb33'), 'sorts by bytes, not by UTF-16');
  await link(join(folder, 'a-b'), join(folder, 'hard'));
  await symlink('../a/run', join(folder, 'a', 'link'));
  await symlink('nowhere', join(folder, 'dangling'));
  await utimes(join(folder, 'nothing'), 1e9, 1e9);
  await chmod(join(folder, 'a'), 0o700);
  await mkdir(join(folder, 'p'.repeat(60), 'q'.repeat(60)), { recursive: true });
  await symlink('u'.repeat(120), join(folder, 'p'.repeat(60), 'q'.repeat(60), 'l'.repeat(60)));
  return folder;
}

describe('the canonical tar', () => {
  it('of a golden tree has its digest for ever', async () => {
    const folder = await oddTree();
    expect(treeDigest(folder, listTree(folder))).toBe(
      '6b6b3967729ef45b78690cfdc803a0983bdad13b1c7cdc5b6987c26ec1a4e859',
    );
  });
});

describe.skipIf(noGnuTar !== undefined)(`the canonical tar${noGnuTar ? ` (skipped: ${noGnuTar})` : ''}`, () => {
  it('is byte for byte what GNU tar writes', async () => {
    const folder = await oddTree();
    expect(ours(folder).equals(gnuTar(folder))).toBe(true);
  });

  it.each([98, 99, 100, 101, 155, 156, 255])('agrees with GNU tar on names and links of %d bytes', async (length) => {
    const folder = await temporary();
    const name = 'n'.repeat(length - 2); // "./" belongs to the name in the archive
    await writeFile(join(folder, name.slice(0, 253)), 'x');
    await mkdir(join(folder, 'd'.repeat(Math.min(length, 250))));
    await symlink('t'.repeat(length), join(folder, 'link'));
    await mkdir(join(folder, 'p'.repeat(60), 'q'.repeat(60)), { recursive: true });
    await symlink('u'.repeat(length), join(folder, 'p'.repeat(60), 'q'.repeat(60), 'l'.repeat(60)));
    expect(ours(folder).equals(gnuTar(folder))).toBe(true);
  });

  it('agrees with GNU tar on a sparse file of more than 8 GiB', { timeout: 300_000 }, async () => {
    const folder = await temporary();
    await writeFile(join(folder, 'large'), '');
    await truncate(join(folder, 'large'), 8 * 1024 ** 3 + 7);
    const { stdout } = spawnSync('bash', ['-c', `${GNU_TAR} | head -c 1536 | sha256sum`], { cwd: folder });
    const start = headOfOurs(folder, 1536);
    expect(`${sha256(start)}  -\n`).toBe(stdout.toString());
  });

  it('has the digest that inspectTree reports, with the plain digests of top-level files', async () => {
    const folder = await temporary();
    await writeFile(join(folder, 'b'), 'bytes', { mode: 0o777 });
    await mkdir(join(folder, 'd'), { mode: 0o700 });
    await writeFile(join(folder, 'd', 'c'), '');
    const facts = await inspectTree(folder);
    expect(facts.digest).toBe(sha256(gnuTar(folder)));
    expect(facts.digest).toBe(treeDigest(folder, listTree(folder)));
    expect(facts.size).toBe(10240);
    expect(facts.files).toEqual([{ name: 'b', size: 5, digest: sha256('bytes') }]);
  });

  it.each([
    ['many files', 200, 1],
    ['a large file', 1, 3_000_000],
  ])('is read in a thread of its own if it has %s, with the same digests and refusals', async (_what, count, size) => {
    const folder = await temporary();
    const content = 'x'.repeat(size);
    for (let index = 0; index < count; index += 1) await writeFile(join(folder, `f${index}`), content);
    const facts = await inspectTree(folder);
    expect(facts.digest).toBe(sha256(gnuTar(folder)));
    expect(facts.files).toHaveLength(count);
    expect(facts.files[0]).toEqual({ name: 'f0', size, digest: sha256(content) });
    await symlink('/etc/passwd', join(folder, 'bad'));
    await expect(inspectTree(folder)).rejects.toMatchObject({
      code: 'OUTPUT_INVALID',
      message: expect.stringContaining('"bad" is an absolute link') as string,
    });
  });
});

function headOfOurs(folder: string, length: number): Buffer {
  const pieces: Buffer[] = [];
  let have = 0;
  for (const piece of packTree(folder, listTree(folder))) {
    pieces.push(Buffer.from(piece));
    have += piece.length;
    if (have >= length) break;
  }
  return Buffer.concat(pieces).subarray(0, length);
}

describe('a tree refuses by name', () => {
  it.each([
    ['an absolute link', 'symlink', '/etc/passwd', /"bad".*absolute link to "\/etc\/passwd"/],
    ['a link out of the tree', 'symlink', '../x', /"bad".*leads out of the tree/],
    ['a link that leaves and comes back', 'symlink', 'a/../../a', /"bad".*leads out of the tree/],
  ])('%s', async (_what, _type, target, message) => {
    const folder = await temporary();
    await symlink(target, join(folder, 'bad'));
    expect(() => listTree(folder)).toThrow(message);
    await expect(inspectTree(folder)).rejects.toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(listTree(folder, 'image')).toHaveLength(2);
  });

  it('a setuid file', async () => {
    const folder = await temporary();
    await writeFile(join(folder, 'su'), '');
    await chmod(join(folder, 'su'), 0o4755);
    expect(() => listTree(folder)).toThrow(/"su" has a setuid or setgid bit/);
  });

  it('a pipe', async () => {
    const folder = await temporary();
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(() => listTree(folder)).toThrow(/"pipe" is a special file/);
  });

  it('a socket', async () => {
    const folder = await temporary();
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(join(folder, 'socket'), resolve));
    expect(() => listTree(folder)).toThrow(/"socket" is a special file/);
    await new Promise((resolve) => void server.close(resolve));
  });

  it('a name that is not UTF-8', async () => {
    const folder = await temporary();
    await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff, 0xfe])]), '');
    expect(() => listTree(folder)).toThrow(/not UTF-8/);
  });

  it('a link whose target is not UTF-8', async () => {
    const folder = await temporary();
    await symlink(Buffer.from([0x66, 0xff]), join(folder, 'bad'));
    expect(() => listTree(folder)).toThrow(/not UTF-8/);
  });
});
