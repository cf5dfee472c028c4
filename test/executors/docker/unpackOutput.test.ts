import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import { unpackOutput } from '../../../src/executors/docker/unpackOutput.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmbuild-unpack-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Entry {
  readonly name: string;
  readonly type?: string;
  readonly mode?: number;
  readonly linkname?: string;
  readonly content?: string;
  readonly pax?: Record<string, string>;
}

const ROOT: Entry = { name: 'out/', type: 'directory', mode: 0o1777 };

async function unpack(...entries: Entry[]): Promise<string> {
  const archive = pack();
  for (const { content, ...header } of entries) archive.entry(header as never, content ?? '');
  archive.finalize();
  const target = join(mkdtempSync(join(folder, 't-')), 'out');
  await unpackOutput(Readable.from(archive as AsyncIterable<Uint8Array>), target, new AbortController().signal);
  return target;
}

describe('unpackOutput', () => {
  it('writes directories, files, links and copies of hard links', async () => {
    const out = await unpack(
      ROOT,
      { name: 'out/d/', type: 'directory', mode: 0o500 },
      { name: 'out/d/run', mode: 0o4711, content: 'run' },
      { name: 'out/d/ä', mode: 0, content: 'data' },
      { name: 'out/link', type: 'symlink', linkname: '/etc/../ö' },
      { name: 'out/same', type: 'link', linkname: 'out/d/run' },
    );
    expect(lstatSync(out).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(out, 'd')).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(out, 'd/run')).mode & 0o7777).toBe(0o4755);
    expect(lstatSync(join(out, 'd/ä')).mode & 0o7777).toBe(0o644);
    expect(readlinkSync(join(out, 'link'))).toBe('/etc/../ö');
    expect(readFileSync(join(out, 'same'), 'utf8')).toBe('run');
    expect(lstatSync(join(out, 'same')).nlink).toBe(1);
    expect(lstatSync(join(out, 'same')).mode & 0o7777).toBe(0o4755);
  });

  it.each([
    ['a fifo', { name: 'out/f', type: 'fifo' }, /"f" is a special file \(fifo\)/],
    ['a device', { name: 'out/b', type: 'block-device' }, /"b" is a special file \(block-device\)/],
    ['a way out', { name: 'out/../../evil', content: '' }, /evil" has a path that leads out/],
    ['an absolute name', { name: '/etc/evil', content: '' }, /evil" has a path that leads out/],
    ['a missing directory', { name: 'out/no/evil', content: '' }, /is not in a directory of the output/],
    [
      'a hard link to elsewhere',
      { name: 'out/h', type: 'link', linkname: 'out/nothing' },
      /"h" is a hard link to "nothing"/,
    ],
    [
      'a hard link out',
      { name: 'out/h', type: 'link', linkname: 'out/../../etc/passwd' },
      /"h" has a path that leads out/,
    ],
    [
      'a name that was not UTF-8',
      { name: 'x', pax: { path: 'out/\uFFFD' }, content: '' },
      /holds a name that is not UTF-8/,
    ],
    [
      'a link that was not UTF-8',
      { name: 'out/l', type: 'symlink', pax: { linkpath: '\uFFFD' } },
      /"l" holds a name that is/,
    ],
  ])('refuses %s by name', async (_, entry, message) => {
    await expect(unpack(ROOT, entry)).rejects.toThrow(message);
    await expect(unpack(ROOT, entry)).rejects.toMatchObject({ code: 'OUTPUT_INVALID' });
  });

  it('never writes through a link, or twice to one place', async () => {
    const link: Entry = { name: 'out/l', type: 'symlink', linkname: folder };
    await expect(unpack(ROOT, link, { name: 'out/l/evil', content: '' })).rejects.toThrow('not in a directory');
    await expect(unpack(ROOT, link, { name: 'out/l', content: '' })).rejects.toThrow('EEXIST');
    await expect(unpack(ROOT, link, { name: 'out/l/', type: 'directory' })).rejects.toThrow('EEXIST');
  });

  it('rejects a cut archive, and with the reason when it is aborted', async () => {
    const archive = pack();
    archive.entry({ name: 'out/', type: 'directory' });
    archive.entry({ name: 'out/f' }, 'x'.repeat(5000));
    archive.finalize();
    const bytes = await buffer(Readable.from(archive as AsyncIterable<Uint8Array>));
    const target = () => join(mkdtempSync(join(folder, 't-')), 'out');
    const cut = Readable.from([bytes.subarray(0, 3000)]);
    await expect(unpackOutput(cut, target(), new AbortController().signal)).rejects.toThrow('Unexpected end of data');
    await expect(unpackOutput(Readable.from([bytes]), target(), AbortSignal.abort())).rejects.toThrow('aborted');
  });
});
