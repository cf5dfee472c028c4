import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyLayers } from '../../src/images/applyLayers.ts';
import { assemblePulledImage } from '../../src/images/assemble.ts';
import type { PulledLayer } from '../../src/images/lockFile.ts';
import { unpackLayer } from '../../src/images/unpackLayer.ts';
import { sha256 } from '../../src/model/digest.ts';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { makeTinyImage } from '../executors/docker/tinyImage.ts';
import { type Cli, cliFor } from '../cli/cli.ts';
import { hasRegistry, pushImage, startRegistry, type TestRegistry } from '../support/dockerRegistry.ts';
import { cannotBuild, fixture } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { tarArchive, type TestEntry } from './debBuilder.ts';
import { rejection } from './helpers.ts';

const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A layer in a file of its own. */
async function layer(
  folder: string,
  entries: readonly TestEntry[],
  spoil: (stored: Buffer) => Buffer = (stored) => stored,
  mediaType = GZIP,
): Promise<{ layer: PulledLayer; file: string; blobPrefix: string }> {
  const tar = await tarArchive(entries);
  const stored = mediaType.endsWith('gzip') ? gzipSync(tar) : mediaType.endsWith('zstd') ? zstdCompressSync(tar) : tar;
  const place = mkdtempSync(join(folder, 'layer-'));
  writeFileSync(join(place, 'blob'), spoil(stored));
  return {
    layer: { mediaType, digest: sha256(stored), size: stored.length, diffId: sha256(tar) },
    file: join(place, 'blob'),
    blobPrefix: join(place, 'content-'),
  };
}

describe('layers', () => {
  it('are laid over one another, with whiteouts, replaced kinds and every compression', async () => {
    const folder = await temporary();
    const layers = [
      await layer(folder, [
        { name: 'etc/', type: 'directory' },
        { name: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\n' },
        { name: 'etc/gone', content: 'gone' },
        { name: 'cache/', type: 'directory' },
        { name: 'cache/old', content: 'old' },
        { name: 'opt/', type: 'directory' },
        { name: 'opt/tool', content: 'one', mode: 0o4755 },
        { name: 'opt/twin', type: 'link', target: 'opt/tool' },
        { name: 'dev/null', type: 'character-device' },
        { name: 'was-file', content: 'x' },
        { name: 'was-folder/', type: 'directory' },
        { name: 'was-folder/inside', content: 'x' },
      ]),
      await layer(
        folder,
        [
          { name: './etc/.wh.gone' },
          { name: 'cache/new', content: 'new' },
          { name: 'cache/.wh..wh..opq' },
          { name: 'was-file/', type: 'directory' },
          { name: 'was-folder', type: 'symlink', target: 'opt' },
        ],
        undefined,
        'application/vnd.oci.image.layer.v1.tar+zstd',
      ),
      await layer(folder, [{ name: 'last', content: 'last' }], undefined, 'application/vnd.oci.image.layer.v1.tar'),
    ];
    const files = new Map(layers.map((one) => [one.layer.digest, one.file]));
    const scratch = join(folder, 'scratch');
    mkdirSync(scratch);
    const lock = {
      pulled: {
        registry: 'localhost',
        repository: 'x',
        manifest: sha256(''),
        config: sha256(''),
        layers: layers.map((one) => one.layer),
      },
    };
    const partPath = ({ digest }: PulledLayer): Promise<string> => Promise.resolve(files.get(digest) as string);
    const { rootfs } = await assemblePulledImage(lock, { partPath, scratch });
    const list = execFileSync('find', ['.', '-printf', '%P %y %m\n'], { cwd: rootfs, encoding: 'utf8' });
    expect(list.trimEnd().split('\n').sort()).toEqual(
      [
        ' d 755',
        'build d 1777',
        'cache d 755',
        'cache/new f 644',
        'dev d 755',
        'etc d 755',
        'etc/passwd f 644',
        'in d 755',
        'last f 644',
        'opt d 755',
        'opt/tool f 755',
        'opt/twin f 755',
        'out d 1777',
        'proc d 755',
        'recipe d 755',
        'sys d 755',
        'tmp d 1777',
        'var d 755',
        'var/tmp d 1777',
        'was-file d 755',
        'was-folder l 777',
      ].sort(),
    );
    expect(readFileSync(join(rootfs, 'etc/passwd'), 'utf8')).toContain('vmbuild:x:1000:100::/build:/bin/sh');
    expect(readlinkSync(join(rootfs, 'was-folder'))).toBe('opt');
    expect(lstatSync(join(rootfs, 'opt/tool')).ino).toBe(lstatSync(join(rootfs, 'opt/twin')).ino);
  });

  it.each<[string, TestEntry]>([
    ['a climbing name', { name: '../evil', content: 'x' }],
    ['an absolute name', { name: '/evil', content: 'x' }],
    ['a pipe', { name: 'pipe', type: 'fifo' }],
    ['a device outside of /dev', { name: 'etc/null', type: 'character-device' }],
    ['a hard link to nothing', { name: 'link', type: 'link', target: 'etc/passwd' }],
    ['a hard link out of the image', { name: 'link', type: 'link', target: '../../etc/passwd' }],
    ['a file for a root', { name: './', type: 'symlink', target: '/' }],
  ])('that hold %s are refused', async (_what, entry) => {
    const folder = await temporary();
    expect(await rejection(unpackLayer(await layer(folder, [entry])))).toMatch(/^IMAGE_ASSEMBLY the layer sha256:/);
  });

  it('may hold a path twice, and hard links between files', async () => {
    const job = await layer(await temporary(), [
      { name: 'a', content: 'first' },
      { name: 'link', type: 'link', target: 'a' },
      { name: 'a', content: 'second' },
      { name: 'a', content: 'third' },
      { name: 'b', content: 'other' },
    ]);
    const tree = applyLayers([await unpackLayer(job)]);
    const contents = ['a', 'b', 'link'].map((path) => tree.read(path)?.toString());
    expect(contents).toEqual(['third', 'other', 'first']);
  });

  it('below a link are refused', async () => {
    expect(() =>
      applyLayers([
        [{ type: 'symlink', path: 'opt', target: '/etc' }],
        [{ type: 'file', path: 'opt/passwd', executable: false, blob: 'x' }],
      ]),
    ).toThrow('/opt is a symlink');
  });

  it.each([
    ['another layer', () => gzipSync(Buffer.alloc(10240)), 'SOURCE_MISMATCH'],
    ['a truncated layer', (stored: Buffer) => stored.subarray(0, stored.length / 2), 'IMAGE_ASSEMBLY'],
    ['an empty file', () => Buffer.alloc(0), 'IMAGE_ASSEMBLY|SOURCE_MISMATCH'],
  ])('are refused if the file is %s', async (_what, spoil, code) => {
    const job = await layer(await temporary(), [{ name: 'x', content: 'x'.repeat(5000) }], spoil);
    expect(await rejection(unpackLayer(job))).toMatch(new RegExp(`^(${code}) `));
  });
});

const without = hasRegistry ? (cannotBuild ?? '') : 'docker-registry is not installed';

describe.skipIf(without !== '')(`images of a registry${without === '' ? '' : ` (skipped: ${without})`}`, () => {
  /** A project whose image `tools` is `from`, and a command line that knows the registry's password. */
  async function project(registry: TestRegistry, from: string, password = 'secret') {
    const made = await fixture({
      'hello/recipe.ts': `import { defineRecipe } from 'vmbuild';
        export default defineRecipe({ description: 'x', image: 'tools', command: ['sh', '-c', 'cat /etc/note > /out/note'] });`,
    });
    const image = join(made.root.images, 'tools');
    mkdirSync(image);
    writeFileSync(join(image, 'image.json'), JSON.stringify({ from }));
    const docker = join(made.folder, 'docker-config');
    mkdirSync(docker);
    const auth = Buffer.from(`vmbuild:${password}`).toString('base64');
    writeFileSync(join(docker, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    return (store?: string): Promise<Cli> => cliFor(made, store, { DOCKER_CONFIG: docker });
  }

  async function tinyLayers(): Promise<readonly Buffer[]> {
    const { rootfs } = makeTinyImage(await temporary());
    const tar = execFileSync('tar', ['-C', rootfs, '-c', '.'], { maxBuffer: 2 ** 28 });
    return [tar, await tarArchive([{ name: 'etc/note', content: 'from the second layer' }])];
  }

  it('are locked by digest, pulled, and run steps; then the registry is not needed any more', async () => {
    await using registry = await startRegistry();
    const manifest = await pushImage(registry, 'team/tools', 'v1', await tinyLayers());
    const start = await project(registry, `${registry.host}/team/tools:v1`);

    const cli = await start();
    const unlocked = await cli.run('realize', 'hello');
    expect(unlocked.stderr).toContain('IMAGE_NOT_LOCKED');
    const locked = await cli.run('image', 'lock', 'tools');
    expect(locked.stderr + locked.stdout).toContain(`manifest sha256:${manifest}`);
    expect(locked.code).toBe(0);

    // The tag moves on; the lock does not.
    await pushImage(registry, 'team/tools', 'v1', [await tarArchive([{ name: 'other', content: 'x' }])]);
    const fresh = await start(await temporary());
    const built = await fresh.run('realize', 'hello');
    expect(built.stderr + built.stdout).toContain('hello built');
    expect(built.code).toBe(0);
    await registry[Symbol.asyncDispose]();
    expect((await fresh.run('realize', 'hello', '--rebuild')).code).toBe(0);
  });

  it('are refused for another platform, without the password, and if there is none', async () => {
    await using registry = await startRegistry();
    const tars = [await tarArchive([{ name: 'x', content: 'x' }])];
    await pushImage(registry, 'team/arm', 'v1', tars, { os: 'linux', architecture: 'arm64' });
    const lock = async (from: string, password?: string): Promise<string> =>
      (await (await (await project(registry, from, password))()).run('image', 'lock', 'tools')).stderr;
    expect(await lock(`${registry.host}/team/arm:v1`)).toContain('it is for linux/arm64, not for linux/amd64');
    const refused = await lock(`${registry.host}/team/arm:v1`, 'wrong');
    expect(refused).toContain('the credentials are refused');
    expect(refused).not.toContain('wrong');
    expect(await lock(`${registry.host}/team/none:v1`)).toMatch(/SOURCE_UNAVAILABLE[\s\S]*HTTP 404/);
    expect(await lock(`${registry.host}/team/arm@sha256:${'0'.repeat(64)}`)).toContain('HTTP 404');
    expect(await lock('tools:v1')).toContain('does not begin with a registry');
    expect(await lock(`${registry.host}/team/arm`)).toContain('needs a tag or @sha256:');
  });
});
