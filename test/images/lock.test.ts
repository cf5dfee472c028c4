import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { DEBIAN_KEYRING } from '../../src/images/inRelease.ts';
import { type ResolveImageOptions, resolveImage } from '../../src/images/lock.ts';
import { sha256 } from '../../src/model/digest.ts';
import { hasXz } from './debBuilder.ts';
import { rejection, temporaryFolders } from './helpers.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const folder = temporaryFolders();
const hasGpg = spawnSync('gpg', ['--version']).status === 0 && spawnSync('gpgv', ['--version']).status === 0;

const packagesText = ['base', 'tool']
  .map((name) =>
    [
      `Package: ${name}`,
      'Version: 1.0-1',
      'Architecture: all',
      name === 'base' ? 'Essential: yes' : 'Depends: base (>= 1)',
      `Filename: pool/main/${name[0]}/${name}/${name}_1.0-1_all.deb`,
      'Size: 1234',
      `SHA256: ${sha256(name)}`,
    ].join('\n'),
  )
  .join('\n\n');

const description = { suite: 'sid', components: ['main'], packages: ['tool'] };
const MIRROR = 'http://mirror.test/debian';

/** A key, and what it signs. */
interface Signer {
  readonly keyring: string;
  readonly sign: (text: string) => Buffer;
}

function makeSigner(name: string): Signer {
  const home = join(folder(), 'h');
  mkdirSync(home, { mode: 0o700 });
  const gpg = (args: string[], input = ''): Buffer =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--passphrase', '', ...args], {
      input,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  gpg(['--quick-generate-key', name, 'ed25519', 'sign', '1y']);
  const keyring = join(home, 'keyring.gpg');
  writeFileSync(keyring, gpg(['--export']));
  return { keyring, sign: (text) => gpg(['--clearsign'], text) };
}

function releaseText(packages: Buffer, fields: Readonly<Record<string, string>> = {}): string {
  const all = {
    Codename: 'sid',
    Suite: 'unstable',
    Date: 'Sat, 11 Jul 2026 10:16:37 UTC',
    Architectures: 'all amd64',
    Components: 'main contrib',
    'Acquire-By-Hash': 'yes',
    ...fields,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${lines.join('\n')}\nSHA256:\n ${sha256(packages)} ${packages.length} main/binary-amd64/Packages.xz\n`;
}

describe.skipIf(!hasGpg || !hasXz)('resolveImage (needs gpg, gpgv and xz)', () => {
  let signer: Signer;
  let stranger: Signer;
  const packages = hasXz ? execFileSync('xz', ['-c'], { input: packagesText }) : Buffer.alloc(0);

  beforeAll(() => {
    signer = makeSigner('archive');
    stranger = makeSigner('stranger');
  });

  /** Runs against a mirror that serves these files. */
  function resolve(
    inRelease: Uint8Array,
    index: Buffer = packages,
    options: Partial<ResolveImageOptions> = {},
    asked: string[] = [],
  ): ReturnType<typeof resolveImage> {
    return resolveImage(description, {
      mirrors: [`${MIRROR}/`],
      keyring: signer.keyring,
      scratch: folder(),
      download: (url) => {
        asked.push(url);
        if (url.endsWith('/InRelease')) return Promise.resolve(inRelease);
        if (url.includes('/binary-amd64/')) return Promise.resolve(index);
        return Promise.reject(new Error(`HTTP 404: ${url}`));
      },
      ...options,
    });
  }

  it('locks the closure and says which index it came from', async () => {
    const inRelease = signer.sign(releaseText(packages));
    const asked: string[] = [];
    expect(await resolve(inRelease, packages, {}, asked)).toEqual({
      suite: 'sid',
      components: ['main'],
      packages: ['tool'],
      architecture: 'amd64',
      index: {
        inRelease: { sha256: sha256(inRelease), date: '2026-07-11T10:16:37Z' },
        snapshot: '20260711T101637Z',
        packages: [{ component: 'main', path: 'main/binary-amd64/Packages.xz', sha256: sha256(packages) }],
      },
      debs: ['base', 'tool'].map((name) => ({
        name,
        version: '1.0-1',
        architecture: 'all',
        path: `pool/main/${name[0]}/${name}/${name}_1.0-1_all.deb`,
        size: 1234,
        sha256: sha256(name),
      })),
    });
    expect(asked).toEqual([
      `${MIRROR}/dists/sid/InRelease`,
      `${MIRROR}/dists/sid/main/binary-amd64/by-hash/SHA256/${sha256(packages)}`,
    ]);
  });

  it('asks for the plain path where a mirror has no by-hash, and reads gzip', async () => {
    const index = gzipSync(packagesText);
    const text = releaseText(index, { 'Acquire-By-Hash': 'no' }).replace('Packages.xz', 'Packages.gz');
    const asked: string[] = [];
    expect((await resolve(signer.sign(text), index, {}, asked)).debs).toHaveLength(2);
    expect(asked[1]).toBe(`${MIRROR}/dists/sid/main/binary-amd64/Packages.gz`);
  });

  it('asks for the plain path where a mirror has no by-hash after all', async () => {
    const inRelease = signer.sign(releaseText(packages));
    const download = (url: string): Promise<Uint8Array> => {
      if (url.includes('/by-hash/')) return Promise.reject(new Error('HTTP 404'));
      return Promise.resolve(url.endsWith('Packages.xz') ? packages : inRelease);
    };
    expect((await resolve(inRelease, packages, { download })).debs).toHaveLength(2);
  });

  it.each([
    ['a path outside the pool', 'Filename: pool/main/t/', 'Filename: ../../t/', 'path'],
    ['no digest', /SHA256: .*$/, 'MD5sum: x', 'sha256'],
    ['a size that is no number', /Size: \d+\nSHA256: \S+$/, `Size: big\nSHA256: ${sha256('x')}`, 'size'],
  ])('refuses an index with %s', async (_, pattern, replacement, field) => {
    const index = execFileSync('xz', ['-c'], { input: packagesText.replace(pattern, replacement) });
    const message = await rejection(resolve(signer.sign(releaseText(index)), index));
    expect(message).toContain('IMAGE_RESOLVE the package index of sid cannot be read: the package tool in the index');
    expect(message).toContain(field);
  });

  it('refuses a changed word, an unknown key and an unsigned file', async () => {
    const signed = signer.sign(releaseText(packages)).toString();
    expect(await rejection(resolve(Buffer.from(signed.replace('unstable', 'unstabel'))))).toBe(
      'SIGNATURE_INVALID the signature of the package index does not verify: the text was changed after it was signed',
    );
    expect(await rejection(resolve(stranger.sign(releaseText(packages))))).toContain(
      'none of the keys that signed it is in the keyring',
    );
    expect(await rejection(resolve(Buffer.from(releaseText(packages))))).toContain('not exactly one signed message');
    expect(await rejection(resolve(Buffer.from('<html>login</html>')))).toContain('not exactly one signed message');
    expect(await rejection(resolve(Buffer.alloc(0)))).toContain('SIGNATURE_INVALID');
    const half = signed.slice(0, signed.indexOf('-----BEGIN PGP SIGNATURE-----') + 60);
    expect(await rejection(resolve(Buffer.from(`${half}\n-----END PGP SIGNATURE-----\n`)))).toContain(
      'SIGNATURE_INVALID',
    );
  });

  it('never reads text that is not signed', async () => {
    const signed = signer.sign(releaseText(packages)).toString();
    const evil = releaseText(Buffer.from('evil'));
    for (const text of [
      `${evil}\n${signed}`,
      `${signed}\n${evil}`,
      `${signed}${signed}`,
      `${stranger.sign(evil).toString()}${signed}`,
    ]) {
      expect(await rejection(resolve(Buffer.from(text)))).toContain('SIGNATURE_INVALID');
    }
  });

  it('accepts a good signature beside one of an unknown key', async () => {
    // Both keys sign one text: what a mirror serves after a new key was introduced.
    const both = folder();
    const armour = (text: Buffer): string => text.toString();
    const one = armour(signer.sign(releaseText(packages)));
    writeFileSync(join(both, 'x'), one);
    const merged = mergeSignatures(one, armour(stranger.sign(releaseText(packages))));
    expect((await resolve(Buffer.from(merged))).debs).toHaveLength(2);
    expect(await rejection(resolve(Buffer.from(merged.replace('unstable', 'unstabel'))))).toContain(
      'SIGNATURE_INVALID',
    );
  });

  it('says what to install if the keyring or gpgv is missing', async () => {
    const inRelease = signer.sign(releaseText(packages));
    await expect(resolve(inRelease, packages, { keyring: '/nowhere/keys.gpg' })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: expect.stringContaining('/nowhere/keys.gpg'),
      hints: ['Install the Debian package debian-archive-keyring.'],
    });
    const path = process.env['PATH'];
    process.env['PATH'] = folder();
    try {
      await expect(resolve(inRelease)).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
        hints: ['Install the Debian package gpgv.'],
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it.each([
    ['another suite', { Codename: 'trixie', Suite: 'stable' }, 'it is that of trixie or stable'],
    ['one past its date', { 'Valid-Until': 'Sat, 18 Jul 2026 10:16:37 UTC' }, 'it was valid until Sat, 18 Jul'],
    ['one with an unreadable date of expiry', { 'Valid-Until': 'soon' }, 'it was valid until soon'],
    ['one without the component', { Components: 'contrib' }, 'it has no component main'],
    ['one without the architecture', { Architectures: 'arm64' }, 'it has no amd64'],
    ['one without a date', { Date: '' }, 'it has no valid Date'],
  ])('refuses %s', async (_, fields, message) => {
    const now = new Date('2026-08-01T00:00:00Z');
    const inRelease = signer.sign(releaseText(packages, fields));
    expect(await rejection(resolve(inRelease, packages, { now }))).toContain(
      `SIGNATURE_INVALID the InRelease of sid is signed but not usable: ${message}`,
    );
  });

  it('accepts one before its Valid-Until', async () => {
    const inRelease = signer.sign(releaseText(packages, { 'Valid-Until': 'Sat, 18 Jul 2026 10:16:37 UTC' }));
    expect((await resolve(inRelease, packages, { now: new Date('2026-07-12T00:00:00Z') })).debs).toHaveLength(2);
  });

  it('refuses an index that is not the signed one, showing both digests', async () => {
    const message = await rejection(resolve(signer.sign(releaseText(packages)), Buffer.from('evil')));
    expect(message).toContain('SOURCE_MISMATCH');
    expect(message).toContain(sha256('evil'));
    expect(message).toContain(sha256(packages));
  });

  it('tries the next mirror, and says so', async () => {
    const inRelease = signer.sign(releaseText(packages));
    const told: string[] = [];
    const contents = await resolveImage(description, {
      mirrors: ['http://dead.test/debian', MIRROR],
      keyring: signer.keyring,
      scratch: folder(),
      onRetry: (message) => told.push(message),
      download: (url) => {
        if (url.includes('dead')) return Promise.reject(new Error('connection refused'));
        return Promise.resolve(url.endsWith('InRelease') ? inRelease : packages);
      },
    });
    expect(contents.debs).toHaveLength(2);
    expect(told).toEqual(['dead.test: connection refused']);
  });

  it('fails if no mirror answers, or none is known', async () => {
    const dead = { download: () => Promise.reject(new Error('connection refused')) };
    expect(await rejection(resolve(Buffer.alloc(0), packages, dead))).toContain(
      'SOURCE_UNAVAILABLE no mirror gave the package index of sid: connection refused',
    );
    expect(await rejection(resolve(Buffer.alloc(0), packages, { mirrors: [] }))).toContain(
      'SOURCE_UNAVAILABLE no mirror of the Debian archive is known',
    );
  });

  it('stops when told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(resolve(signer.sign(releaseText(packages)), packages, { signal })).rejects.toThrow('enough');
  });

  it('says what cannot be resolved', async () => {
    const index = execFileSync('xz', ['-c'], { input: packagesText.replace('base (>= 1)', 'base (>= 2)') });
    expect(await rejection(resolve(signer.sign(releaseText(index)), index))).toContain('IMAGE_RESOLVE');
    const broken = execFileSync('xz', ['-c'], { input: 'nonsense\n' });
    expect(await rejection(resolve(signer.sign(releaseText(broken)), broken))).toContain(
      'IMAGE_RESOLVE the package index of sid cannot be read',
    );
  });

  it.skipIf(!existsSync(DEBIAN_KEYRING))('does not trust a test key by default', async () => {
    const { keyring: _, ...rest } = { keyring: signer.keyring, scratch: folder() };
    const inRelease = signer.sign(releaseText(packages));
    const promise = resolveImage(description, {
      ...rest,
      mirrors: [MIRROR],
      download: () => Promise.resolve(inRelease),
    });
    expect(await rejection(promise)).toContain('none of the keys');
  });
});

/** One clear-signed text with the signature packets of two. */
function mergeSignatures(first: string, second: string): string {
  const work = folder();
  const body = (text: string): Buffer => {
    const file = join(work, 's.asc');
    writeFileSync(file, text.slice(text.indexOf('-----BEGIN PGP SIGNATURE-----')));
    return execFileSync('gpg', ['--homedir', work, '--batch', '--dearmor'], {
      input: readFileSync(file),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  };
  copyFileSync('/dev/null', join(work, 'pubring.gpg'));
  const both = Buffer.concat([body(first), body(second)]);
  const text = first.slice(0, first.indexOf('-----BEGIN PGP SIGNATURE-----'));
  const armoured = both.toString('base64').replaceAll(/(.{64})/g, '$1\n');
  return `${text}-----BEGIN PGP SIGNATURE-----\n\n${armoured}\n-----END PGP SIGNATURE-----\n`;
}
