import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { storeFolder } from '../../src/cli/settings.ts';
import { type AssembledImage, assembleImage, checkImageDigest } from '../../src/images/assemble.ts';
import { applyFixUps } from '../../src/images/fixUps.ts';
import { type LockedDeb, readImageLock } from '../../src/images/lockFile.ts';
import { mergePackages } from '../../src/images/mergePackages.ts';
import type { UnpackedPackage } from '../../src/images/packageEntry.ts';
import { unpackDeb } from '../../src/images/unpackDeb.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { sha256 } from '../../src/model/digest.ts';
import { SANDBOX } from '../../src/model/sandbox.ts';
import { debFolder, hasXz, storeDeb, type TestDeb, type TestEntry, writeDeb } from './debBuilder.ts';
import { rejection, temporaryFolders } from './helpers.ts';

// Threads and xz take their time on a loaded machine.
vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();
const hasDpkgDeb = spawnSync('dpkg-deb', ['--version']).status === 0;
const canBecomeUser = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;

/** Tried, not guessed: root in a container may lack it. */
const canMount = ((): boolean => {
  const target = folder();
  if (spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', target]).status !== 0) return false;
  return spawnSync('umount', [target]).status === 0;
})();

const dir = (name: string, mode = 0o755): TestEntry => ({ name, type: 'directory', mode });
const file = (name: string, content = name, mode = 0o644): TestEntry => ({ name, content, mode });
const link = (name: string, target: string): TestEntry => ({ name, type: 'symlink', target });

/** Packages that together need every fix-up. */
const PACKAGES: readonly TestDeb[] = [
  {
    name: 'base-passwd',
    compression: hasXz ? 'xz' : 'zst',
    entries: [
      file(
        './usr/share/base-passwd/passwd.master',
        'root:*:0:0:root:/root:/bin/bash\nman:*:6:12:man:/var/cache/man:/usr/sbin/nologin\n',
      ),
      file('./usr/share/base-passwd/group.master', 'root:*:0:\nusers:*:100:\n'),
    ],
  },
  {
    name: 'base-files',
    compression: 'zst',
    entries: [
      dir('./'),
      dir('./tmp/', 0o1777),
      dir('./var/'),
      dir('./run/lock/', 0o1777),
      dir('./root/', 0o700),
      dir('./usr/bin/', 0o2755),
      file('./etc/shells', 'old'),
    ],
  },
  {
    name: 'libc-bin',
    entries: [
      file('./usr/share/libc-bin/nsswitch.conf', 'hosts: files\n'),
      dir('./lib64/'),
      link('./lib64/ld.so', '/lib/x/ld.so'),
    ],
  },
  {
    name: 'mawk',
    entries: [
      file('./usr/bin/mawk', 'mawk', 0o755),
      file('./usr/share/doc/mawk/copyright'),
      file('./usr/share/man/man1/mawk.1.gz'),
    ],
  },
  {
    name: 'dash',
    entries: [
      dir('./bin/'),
      file('./bin/dash', 'dash', 0o755),
      link('./bin/sh', 'dash'),
      link('./usr/bin/dash', '/bin/dash'),
    ],
  },
  {
    name: 'gcc',
    compression: 'none',
    entries: [
      file('./usr/bin/gcc', 'gcc', 0o4755),
      file('./usr/bin/g++', 'g++', 0o750),
      { name: './usr/bin/x86_64-linux-gnu-gcc', type: 'link', target: './usr/bin/gcc' },
      file('./usr/lib32/libc.so', '32', 0o600),
    ],
  },
  {
    name: 'ca-certificates',
    entries: [
      file('./usr/share/ca-certificates/mozilla/Főtanúsítvány.crt', 'F\n'),
      file('./usr/share/ca-certificates/mozilla/A.crt', 'A'),
    ],
  },
  {
    name: 'long',
    entries: [
      file(`./opt/${'d'.repeat(90)}/${'f'.repeat(120)}`, 'long'),
      link('./opt/l', 'x'.repeat(150)),
      file('./var/lock/l'),
      file('./opt/empty', ''),
    ],
  },
];

interface Made extends AssembledImage {
  readonly read: (path: string) => string;
  readonly debs: readonly LockedDeb[];
}

async function assemble(
  packages: readonly TestDeb[],
  options: { shuffle?: boolean; workers?: number } = {},
): Promise<Made> {
  const pool = folder();
  const debs = await Promise.all(packages.map((deb) => writeDeb(pool, deb)));
  if (options.shuffle) debs.reverse();
  const image = await assembleImage(
    { debs },
    { partPath: debFolder(pool), scratch: folder(), workers: options.workers },
  );
  return { ...image, debs, read: (path) => readFileSync(join(image.rootfs, path), 'utf8') };
}

/** How packages are refused, as `CODE message`. In this thread: a worker for each of so many cases takes long. */
async function failure(...packages: TestDeb[]): Promise<string> {
  const pool = folder();
  const blobs = folder();
  const unpack = async (): Promise<void> => {
    const unpacked: UnpackedPackage[] = [];
    for (const [index, deb] of packages.entries()) {
      const locked = await writeDeb(pool, deb);
      unpacked.push(
        await unpackDeb({ deb: locked, file: join(pool, locked.sha256), blobPrefix: join(blobs, `${index}-`) }),
      );
    }
    applyFixUps(mergePackages(unpacked));
  };
  return rejection(unpack());
}

describe('assembleImage', () => {
  it('makes a root file system with every fix-up', async () => {
    const image = await assemble(PACKAGES);
    const at = (path: string): string => join(image.rootfs, path);
    const mode = (path: string): string => (lstatSync(at(path)).mode & 0o7777).toString(8);
    // Merged /usr, with links only to what there is.
    for (const name of ['bin', 'sbin', 'lib', 'lib64', 'lib32']) expect(readlinkSync(at(name))).toBe(`usr/${name}`);
    expect(existsSync(at('libx32'))).toBe(false);
    expect(image.read('usr/bin/dash')).toBe('dash');
    expect(readlinkSync(at('usr/bin/sh'))).toBe('dash');
    expect(image.read('run/lock/l')).toBe('./var/lock/l');
    expect(readlinkSync(at('var/run'))).toBe('/run');
    // Users and hosts.
    expect(image.read('etc/passwd')).toMatch(/^root:\*:0:0:.*\nman:.*\nvmbuild:x:1000:100::\/build:\/bin\/sh\n$/);
    expect(image.read('etc/group')).toBe('root:*:0:\nusers:*:100:\n');
    expect(image.read('etc/nsswitch.conf')).toBe('hosts: files\n');
    expect(image.read('etc/hostname')).toBe('vmbuild\n');
    expect(image.read('etc/hosts')).toContain('127.0.0.1 localhost vmbuild\n');
    expect(image.read('etc/resolv.conf')).toBe('');
    expect(image.read('etc/shells')).toBe('/bin/sh\n/usr/bin/sh\n/bin/dash\n/usr/bin/dash\n');
    expect(image.read('etc/ssl/certs/ca-certificates.crt')).toBe('A\nF\n');
    // Alternatives, only of what is installed.
    expect(readlinkSync(at('usr/bin/awk'))).toBe('/usr/bin/mawk');
    expect(readlinkSync(at('usr/bin/cc'))).toBe('/usr/bin/gcc');
    expect(existsSync(at('usr/bin/yacc'))).toBe(false);
    // Mount points and sticky directories.
    for (const path of SANDBOX.mountPoints) expect(statSync(at(path)).isDirectory()).toBe(true);
    for (const path of [...SANDBOX.stickyDirectories, 'run/lock']) expect([path, mode(path)]).toEqual([path, '1777']);
    // Modes: reduced, whatever the package and the umask say.
    expect(mode('usr/bin/gcc')).toBe('755');
    expect(mode('usr/bin/g++')).toBe('755');
    expect(mode('usr/bin')).toBe('755');
    expect(mode('root')).toBe('755');
    expect(mode('usr/lib32/libc.so')).toBe('644');
    expect(image.read('usr/bin/x86_64-linux-gnu-gcc')).toBe('gcc');
    // What no build reads.
    expect(existsSync(at('usr/share/doc'))).toBe(false);
    expect(existsSync(at('usr/share/man'))).toBe(false);
    for (const { path } of listTree(image.rootfs, 'image'))
      expect([path, lstatSync(at(path)).mtimeMs]).toEqual([path, 0]);
  });

  it('names the image by its config, and the layer by its canonical tar', async () => {
    const image = await assemble(PACKAGES);
    expect(image.digest).toBe(sha256(image.config));
    expect(image.layerDigest).toBe(treeDigest(image.rootfs, listTree(image.rootfs, 'image')));
    expect(JSON.parse(image.config)).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: { Env: [`PATH=${SANDBOX.path}`], WorkingDir: '/build', User: '1000:100' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${image.layerDigest}`] },
    });
    // A golden value: if this changes, images change, and ASSEMBLER_VERSION has to.
    expect(image.layerDigest).toBe('a42d4b61bb5dbddc1a4cfb37cb41391bdbf4655d54972c80079e060abe01f68b');
  });

  it('gives the same bytes in another order, with other threads, time zone, locale, umask and folder', async () => {
    const first = await assemble(PACKAGES);
    const before = { TZ: process.env['TZ'], LC_ALL: process.env['LC_ALL'], umask: process.umask(0o077) };
    try {
      Object.assign(process.env, { TZ: 'Asia/Tokyo', LC_ALL: 'tr_TR.UTF-8' });
      for (const workers of [1, 3]) {
        const other = await assemble(PACKAGES, { shuffle: true, workers });
        expect(other.rootfs).not.toBe(first.rootfs);
        expect(other.layerDigest).toBe(first.layerDigest);
        expect(other.config).toBe(first.config);
      }
    } finally {
      process.umask(before.umask);
      for (const name of ['TZ', 'LC_ALL'] as const) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });

  it.skipIf(!canBecomeUser)('gives the same bytes to an ordinary user (needs root and setpriv)', async () => {
    const reference = await assemble(PACKAGES);
    const pool = mkdtempSync('/tmp/vmbuild-user-');
    try {
      chmodSync(pool, 0o755);
      const debs = await Promise.all(PACKAGES.map((deb) => writeDeb(pool, deb)));
      const scratch = join(pool, 'scratch');
      mkdirSync(scratch);
      execFileSync('chown', ['65534:65534', scratch]);
      const program = `
        import { assembleImage } from ${JSON.stringify(new URL('../../src/images/assemble.ts', import.meta.url).href)};
        const debs = ${JSON.stringify(debs)};
        const image = await assembleImage({ debs }, { partPath: async (deb) => ${JSON.stringify(pool)} + '/' + deb.sha256, scratch: ${JSON.stringify(scratch)} });
        console.log(image.digest, process.getuid());`;
      writeFileSync(join(pool, 'run.mts'), program);
      const args = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, join(pool, 'run.mts')];
      const output = execFileSync('setpriv', args, { cwd: '/', env: { TZ: 'America/Lima' } }).toString();
      expect(output.trim()).toBe(`${reference.digest} 65534`);
      expect(statSync(join(scratch, 'rootfs/usr/bin/gcc')).uid).toBe(65534);
    } finally {
      rmSync(pool, { recursive: true, force: true });
    }
  });

  it.skipIf(!hasDpkgDeb)('reads what dpkg-deb writes (needs dpkg-deb)', async () => {
    const source = folder();
    mkdirSync(join(source, 'DEBIAN'));
    mkdirSync(join(source, 'usr/bin'), { recursive: true });
    writeFileSync(
      join(source, 'DEBIAN/control'),
      'Package: real\nVersion: 2:1.0-1\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n',
    );
    writeFileSync(join(source, 'DEBIAN/postinst'), '#!/bin/sh\ntouch /ran\n', { mode: 0o755 });
    writeFileSync(join(source, 'usr/bin/real'), 'x'.repeat(300_000), { mode: 0o755 });
    const digests = new Set<string>();
    for (const compression of ['xz', 'gzip', 'zstd', 'none']) {
      const out = join(folder(), 'real.deb');
      const built = spawnSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', source, out]);
      if (built.status !== 0 && compression === 'zstd') continue; // dpkg before 1.21.18 cannot
      expect(built.stderr.toString()).toBe('');
      const pool = folder();
      const deb = storeDeb(pool, 'real', '2:1.0-1', readFileSync(out));
      const image = await assembleImage({ debs: [deb] }, { partPath: debFolder(pool), scratch: folder() });
      expect(readFileSync(join(image.rootfs, 'bin/real'))).toHaveLength(300_000);
      digests.add(image.digest);
    }
    expect(digests.size).toBe(1);
  });

  it('assembles docker/base as locked, from the packages in the store', async ({ skip }) => {
    const lock = await readImageLock(new URL('../../docker/base/lock.json', import.meta.url).pathname);
    if (!('debs' in lock)) throw new Error('docker/base is made of packages');
    const pool = join(await storeFolder({ recipes: [] }), 'sources');
    skip(
      !lock.debs.every((deb) => existsSync(join(pool, deb.sha256))),
      'the store has the image, but not its packages',
    );
    const image = await assembleImage(lock, { partPath: debFolder(pool), scratch: folder() });
    checkImageDigest('base', lock, image.digest);
  });

  it('tells how far it is', async () => {
    const pool = folder();
    const debs = await Promise.all(PACKAGES.map((deb) => writeDeb(pool, deb)));
    const seen: string[] = [];
    await assembleImage(
      { debs },
      { partPath: debFolder(pool), scratch: folder(), onProgress: (done, total) => seen.push(`${done}/${total}`) },
    );
    expect(seen).toEqual(PACKAGES.map((_, i) => `${i + 1}/${PACKAGES.length}`));
  });

  it('stops when told to, before and in the middle', async () => {
    const pool = folder();
    const debs = await Promise.all(PACKAGES.map((deb) => writeDeb(pool, deb)));
    const options = { partPath: debFolder(pool) };
    const early = AbortSignal.abort(new Error('enough'));
    await expect(assembleImage({ debs }, { ...options, scratch: folder(), signal: early })).rejects.toThrow('enough');
    const controller = new AbortController();
    const scratch = folder();
    const onProgress = (): void => controller.abort(new Error('stop now'));
    await expect(
      assembleImage({ debs }, { ...options, scratch, signal: controller.signal, onProgress }),
    ).rejects.toThrow('stop now');
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe('packages that do not fit together', () => {
  it('lets equal files, links and directories meet', async () => {
    const both = [file('./usr/share/x', 'same'), link('./usr/l', 'x'), dir('./opt/d/')];
    const image = await assemble([
      { name: 'a', entries: both },
      { name: 'b', entries: [...both, dir('./opt/d/', 0o1777)] },
    ]);
    expect(image.read('usr/share/x')).toBe('same');
    expect(statSync(join(image.rootfs, 'opt/d')).mode & 0o7777).toBe(0o1777);
  });

  it.each([
    ['other content', file('./x', '1'), file('./x', '2'), 'two packages claim /x: a as a file, b as a file'],
    ['another mode', file('./x', '1'), file('./x', '1', 0o755), 'two packages claim /x'],
    ['another target', link('./x', '1'), link('./x', '2'), 'two packages claim /x: a as a symlink, b as a symlink'],
    ['a file and a link', file('./x'), link('./x', 'y'), 'two packages claim /x: a as a file, b as a symlink'],
    [
      'a link and a directory',
      link('./x', 'usr'),
      dir('./x/'),
      'two packages claim /x: a as a symlink, b as a directory',
    ],
    ['something below a link', link('./x', 'usr'), file('./x/y'), 'b holds /x/y, but a makes /x a symlink'],
    ['something far below a file', file('./x'), file('./x/y/z'), 'b holds /x/y/z, but a makes /x a file'],
    ['one file by its two names', file('./bin/x', '1'), file('./usr/bin/x', '2'), 'two packages claim /usr/bin/x'],
  ])('refuses %s, in either order', async (_, first, second, message) => {
    const a = { name: 'a', entries: [first] };
    const b = { name: 'b', entries: [second] };
    expect(await failure(a, b)).toContain(`IMAGE_ASSEMBLY ${message}`);
    expect(await failure(b, a)).toContain(`IMAGE_ASSEMBLY ${message}`);
  });

  it('lets a package replace the files of the version that it names', async () => {
    const old = { name: 'old', version: '1.0', entries: [file('./x', 'old')] };
    const fresh = (relation: string): TestDeb => ({
      name: 'fresh',
      entries: [file('./x', 'new')],
      control: `Replaces: ${relation}\n`,
    });
    expect((await assemble([old, fresh('other, old (<< 2)')])).read('x')).toBe('new');
    expect((await assemble([fresh('old'), old])).read('x')).toBe('new');
    expect(await failure(old, fresh('old (<< 1)'))).toContain('two packages claim /x');
    const mutual = { ...old, control: 'Replaces: fresh\n' };
    expect(await failure(mutual, fresh('old'))).toContain('two packages claim /x');
  });

  it.each([
    ['build', link('./build', '/etc')],
    ['tmp', file('./tmp')],
    ['proc', link('./proc', 'usr')],
  ])('refuses a package that takes the mount point %s', async (path, entry) => {
    expect(await failure({ name: 'a', entries: [entry] })).toContain(`/${path} must be a directory`);
  });

  it('refuses a second user 1000, and a directory where a file belongs', async () => {
    const master = file('./usr/share/base-passwd/passwd.master', 'me:*:1000:1000::/:/bin/sh\n');
    expect(await failure({ name: 'a', entries: [master] })).toContain('already has a user 1000');
    expect(await failure({ name: 'a', entries: [dir('./etc/passwd/')] })).toContain('/etc/passwd cannot be a file');
    expect(await failure({ name: 'a', entries: [link('./etc', 'usr')] })).toContain('/etc is a symlink');
  });
});

describe('hostile packages', () => {
  it.each<[string, TestEntry[], string]>([
    ['an absolute name', [file('/etc/cron.d/x')], 'an absolute name: "/etc/cron.d/x"'],
    ['a climbing name', [file('./../../x')], 'an unsafe name: "./../../x"'],
    ['a name that climbs in the middle', [file('./usr/../../x')], 'an unsafe name'],
    ['an empty part', [file('./usr//x')], 'an unsafe name'],
    ['a name that is not UTF-8', [file('./caf\uFFFD')], 'not UTF-8'],
    ['a file as the root', [file('./')], ''],
    ['a link as the root', [link('.', '/etc')], 'takes the place of the root'],
    ['a write through a link', [link('./l', '/tmp'), file('./l/x')], ''],
    ['a write through a link that climbs', [link('./l', '../../..'), file('./l/x')], ''],
    ['a link without a target', [link('./l', '')], ''],
    [
      'a hard link out of the package',
      [{ name: './h', type: 'link', target: '/etc/passwd' }],
      'an absolute name: "/etc/passwd"',
    ],
    ['a climbing hard link', [{ name: './h', type: 'link', target: '../../etc/passwd' }], 'an unsafe name'],
    ['a hard link to nothing', [{ name: './h', type: 'link', target: './absent' }], 'no earlier file'],
    [
      'a hard link to a link',
      [link('./l', '/etc/passwd'), { name: './h', type: 'link', target: './l' }],
      'no earlier file',
    ],
    ['a character device', [{ name: './null', type: 'character-device' }], 'is a character-device'],
    ['a block device', [{ name: './sda', type: 'block-device' }], 'is a block-device'],
    ['a pipe', [{ name: './p', type: 'fifo' }], 'is a fifo'],
    ['/bin as a link elsewhere', [link('./bin', '/opt')], 'where a merged /usr needs another'],
    ['a path twice', [file('./x', '1'), file('./x', '2')], 'holds /x twice'],
  ])('refuses %s', async (_, entries, message) => {
    const text = await failure({ name: 'evil', entries });
    expect(text).toContain('IMAGE_ASSEMBLY');
    expect(text).toContain('evil');
    expect(text).toContain(message);
  });

  it('refuses a name whose bytes are not UTF-8', async () => {
    // 0x80 and "0" together keep the header's checksum.
    const spoil = (tar: Buffer): Buffer => (tar.set([0x80, 0x30], tar.indexOf('XX')), tar);
    expect(await failure({ name: 'evil', entries: [file('./cafXX')], spoil })).toContain('not UTF-8');
  });

  it('accepts /bin as a link to usr/bin, as later releases ship it', async () => {
    const image = await assemble([{ name: 'base-files', entries: [link('./bin', 'usr/bin'), dir('./usr/bin/')] }]);
    expect(readlinkSync(join(image.rootfs, 'bin'))).toBe('usr/bin');
  });

  it('keeps links that lead anywhere: they are only followed inside the image', async () => {
    const image = await assemble([
      { name: 'a', entries: [link('./opt/l', '/etc/shadow'), link('./opt/m', '../../../../x')] },
    ]);
    expect(readlinkSync(join(image.rootfs, 'opt/l'))).toBe('/etc/shadow');
    expect(readlinkSync(join(image.rootfs, 'opt/m'))).toBe('../../../../x');
  });

  it.each<[string, TestDeb['spoil']]>([
    ['is cut in a header', (tar) => tar.subarray(0, 700)],
    ['is cut in a file', (tar) => tar.subarray(0, 512 + 1000)],
    ['has a wrong checksum', (tar) => (tar.write('x', 5), tar)],
    ['is no tar', () => Buffer.from('nonsense'.repeat(200))],
  ])('refuses a data.tar that %s', async (_, spoil) => {
    // xz has a test of its own below, which is skipped by name where it cannot be made.
    for (const compression of ['none', 'gz', 'zst', ...(hasXz ? (['xz'] as const) : [])] as const) {
      const entries = [file('./x', 'y'.repeat(3000)), file('./z')];
      expect(await failure({ name: 'cut', entries, compression, ...(spoil && { spoil }) })).toMatch(
        /^IMAGE_ASSEMBLY the package cut 1.0 /,
      );
    }
  });

  it.for(['gz', 'xz', 'zst'] as const)('refuses truncated and damaged %s data', async (compression, { skip }) => {
    skip(compression === 'xz' && !hasXz, 'xz is not installed');
    const pool = folder();
    const good = await writeDeb(pool, { name: 'a', compression, entries: [file('./x', randomText(100_000))] });
    const bytes = readFileSync(join(pool, good.sha256));
    const damaged = Buffer.from(bytes);
    damaged.fill(0x55, bytes.length - 5000, bytes.length - 4900);
    // The member must still be whole for ar, so its size field shrinks with it.
    const index = bytes.lastIndexOf('data.tar');
    const size = Number(bytes.toString('latin1', index + 48, index + 58)) - 20_000;
    const cut = Buffer.from(bytes.subarray(0, index + 60 + size));
    cut.write(String(size).padEnd(10), index + 48, 'latin1');
    for (const spoiled of [damaged, cut]) {
      const deb = storeDeb(pool, 'a', '1.0', spoiled);
      const promise = assembleImage({ debs: [deb] }, { partPath: debFolder(pool), scratch: folder() });
      await expect(promise).rejects.toMatchObject({ code: 'IMAGE_ASSEMBLY' });
    }
  });

  it('refuses a file that is not the locked one, and one that lies about its name', async () => {
    const pool = folder();
    const deb = await writeDeb(pool, { name: 'a' });
    const other = await writeDeb(pool, { name: 'b' });
    const swapped = assembleImage({ debs: [deb] }, { partPath: () => debFolder(pool)(other), scratch: folder() });
    await expect(swapped).rejects.toMatchObject({
      code: 'SOURCE_MISMATCH',
      message: expect.stringContaining(other.sha256),
    });
    for (const lie of [{ name: 'b' }, { version: '2.0' }, { architecture: 'all' as const }]) {
      const promise = assembleImage({ debs: [{ ...deb, ...lie }] }, { partPath: debFolder(pool), scratch: folder() });
      await expect(promise).rejects.toMatchObject({
        code: 'IMAGE_ASSEMBLY',
        message: expect.stringContaining('its control file says a 1.0 amd64'),
      });
    }
  });

  it('refuses what is no package', async () => {
    const pool = folder();
    for (const bytes of [Buffer.alloc(0), Buffer.from('!<arch>\n'), Buffer.from('hello')]) {
      const deb = storeDeb(pool, 'a', '1.0', bytes);
      await expect(
        assembleImage({ debs: [deb] }, { partPath: debFolder(pool), scratch: folder() }),
      ).rejects.toMatchObject({ code: 'IMAGE_ASSEMBLY' });
    }
    const missing = assembleImage(
      { debs: [storeDeb(pool, 'a', '1.0', Buffer.from('x'))] },
      { partPath: () => Promise.resolve('/nowhere/x.deb'), scratch: folder() },
    );
    await expect(missing).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a failure of the machine', () => {
  it.skipIf(!canMount)('is a full disk, not a bad package (needs to mount a tmpfs)', async () => {
    const pool = folder();
    const deb = await writeDeb(pool, { name: 'a', compression: 'none', entries: [file('./x', 'x'.repeat(3_000_000))] });
    const scratch = folder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', scratch]);
    try {
      const promise = assembleImage({ debs: [deb] }, { partPath: debFolder(pool), scratch });
      await expect(promise).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(readdirSync(scratch)).toEqual([]);
    } finally {
      execFileSync('umount', [scratch]);
    }
  });
});

describe('checkImageDigest', () => {
  it('shows both digests', async () => {
    const lock = await lockOf(sha256('locked'));
    expect(() => checkImageDigest('firmware', lock, sha256('locked'))).not.toThrow();
    expect(() => checkImageDigest('firmware', lock, sha256('made'))).toThrow(
      `the image firmware was assembled as ${sha256('made')}, but its lock names ${sha256('locked')}`,
    );
  });
});

async function lockOf(digest: ReturnType<typeof sha256>): Promise<Awaited<ReturnType<typeof readImageLock>>> {
  const deb = await writeDeb(folder(), { name: 'a' });
  return {
    format: 1,
    image: { digest, assembler: 1 },
    suite: 'sid',
    components: ['main'],
    packages: ['a'],
    architecture: 'amd64',
    index: { inRelease: { sha256: digest, date: '2026-01-01T00:00:00Z' }, snapshot: '20260101T000000Z', packages: [] },
    debs: [deb],
  };
}

/** Text that does not compress to nothing. */
function randomText(length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i += 1) text += sha256(String(i));
  return text.slice(0, length);
}
