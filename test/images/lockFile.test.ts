import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diffLocks } from '../../src/images/diffLocks.ts';
import {
  ASSEMBLER_VERSION,
  checkLockMatches,
  formatImageLock,
  type PackagesLock,
  readImageDescription,
  readImageLock,
} from '../../src/images/lockFile.ts';
import { sha256 } from '../../src/model/digest.ts';
import { errorCode, rejection, temporaryFolders } from './helpers.ts';

const folder = temporaryFolders();

const lock: PackagesLock = {
  format: 1,
  image: { digest: sha256('image'), assembler: ASSEMBLER_VERSION },
  suite: 'bookworm',
  components: ['main'],
  packages: ['gcc', 'make'],
  architecture: 'amd64',
  index: {
    inRelease: { sha256: sha256('in'), date: '2026-07-11T10:16:37Z' },
    snapshot: '20260711T101637Z',
    packages: [{ component: 'main', path: 'main/binary-amd64/Packages.xz', sha256: sha256('p') }],
  },
  debs: ['gcc', 'libstdc++6', 'make'].map((name) => ({
    name,
    version: '1:4.3-1~deb12u1+b2',
    architecture: 'amd64',
    path: `pool/main/m/${name}/${name}_4.3-1~deb12u1+b2_amd64.deb`,
    size: 10,
    sha256: sha256(name),
  })),
};
const description = { suite: 'bookworm', components: ['main'], packages: ['make', 'gcc'] };

/** Writes `<name>/lock.json` and returns its path. */
async function file(content: unknown): Promise<string> {
  const image = join(folder(), 'firmware');
  await mkdir(image);
  const path = join(image, 'lock.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('readImageLock', () => {
  it('reads back what formatImageLock writes, one line per package', async () => {
    const text = formatImageLock(lock);
    expect(await readImageLock(await file(text))).toEqual(lock);
    expect(text.split('\n').filter((line) => line.includes('"name"'))).toHaveLength(3);
    expect(text.endsWith('}\n')).toBe(true);
  });

  const first = lock.debs[0] as PackagesLock['debs'][number];
  it.each([
    ['a newer format', { ...lock, format: 2 }, 'format'],
    ['a short digest', { ...lock, image: { ...lock.image, digest: 'abc' } }, 'image.digest'],
    ['an upper-case digest', { ...lock, image: { ...lock.image, digest: 'A'.repeat(64) } }, 'image.digest'],
    ['no assembler', { ...lock, image: { digest: lock.image.digest } }, 'image.assembler'],
    ['an unknown member', { ...lock, extra: 1 }, 'extra'],
    ['another architecture', { ...lock, architecture: 'arm64' }, 'architecture'],
    ['a path outside the pool', { ...lock, debs: [{ ...first, path: 'dists/x' }] }, 'debs.0.path'],
    ['a path that climbs', { ...lock, debs: [{ ...first, path: 'pool/../../etc/passwd' }] }, 'debs.0.path'],
    ['a path with an empty part', { ...lock, debs: [{ ...first, path: 'pool//x' }] }, 'debs.0.path'],
    ['a negative size', { ...lock, debs: [{ ...first, size: -1 }] }, 'debs.0.size'],
    ['a size that is text', { ...lock, debs: [{ ...first, size: '1' }] }, 'debs.0.size'],
    ['no packages', { ...lock, debs: [] }, 'debs'],
    ['unsorted packages', { ...lock, debs: [...lock.debs].reverse() }, 'debs: the packages are not sorted'],
    ['a package twice', { ...lock, debs: [first, first] }, 'debs: the packages are not sorted'],
    ['a bad snapshot', { ...lock, index: { ...lock.index, snapshot: '2026' } }, 'index.snapshot'],
    ['a list', [], 'format'],
    ['a number', 1, 'the document'],
    ['no JSON', '{', 'JSON'],
  ])('refuses %s, naming file, field and command', async (_, content, field) => {
    const path = await file(content);
    const message = await rejection(readImageLock(path));
    expect(message).toMatch(/^IMAGE_NOT_LOCKED /);
    expect(message).toContain(path);
    expect(message).toContain(field);
    await expect(readImageLock(path)).rejects.toMatchObject({ hints: ['Run: vmbuild image lock firmware'] });
  });

  it('says so if there is no lock', async () => {
    const path = join(folder(), 'base', 'lock.json');
    await expect(readImageLock(path)).rejects.toMatchObject({
      code: 'IMAGE_NOT_LOCKED',
      message: `${path}: the file does not exist`,
      hints: ['Run: vmbuild image lock base'],
    });
  });
});

describe('readImageDescription', () => {
  it('reads what is wanted', async () => {
    expect(await readImageDescription(await file(description))).toEqual(description);
  });

  it.each([
    ['no packages', { ...description, packages: [] }, 'packages'],
    ['a package twice', { ...description, packages: ['a1', 'b1', 'a1'] }, 'a1 appears twice'],
    ['a name that is an option', { ...description, packages: ['--force'] }, 'packages.0'],
    ['a suite with a folder in it', { ...description, suite: '../x' }, 'suite'],
    ['a spelling mistake', { ...description, package: [] }, 'package'],
    ['no JSON', 'x', 'JSON'],
  ])('refuses %s', async (_, content, field) => {
    const message = await rejection(readImageDescription(await file(content)));
    expect(message).toMatch(/^RECIPE_INVALID /);
    expect(message).toContain(field);
  });
});

describe('checkLockMatches', () => {
  const check = (wanted: Partial<typeof description>, changed: PackagesLock = lock): string => {
    try {
      checkLockMatches({ ...description, ...wanted }, changed, 'docker/firmware/lock.json');
    } catch (error) {
      return `${errorCode(error)} ${(error as Error).message}`;
    }
    return 'fits';
  };

  it('accepts another order', () => {
    expect(check({})).toBe('fits');
  });

  it.each([
    [{ suite: 'trixie' }, 'suite: bookworm is locked, trixie is wanted'],
    [{ components: ['main', 'contrib'] }, 'components: contrib is wanted but not locked'],
    [{ packages: ['gcc', 'make', 'nasm', 'flex'] }, 'packages: nasm, flex is wanted but not locked'],
    [{ packages: ['gcc'] }, 'packages: make is locked but no longer wanted'],
  ])('refuses %j', (wanted, message) => {
    expect(check(wanted)).toBe(`IMAGE_NOT_LOCKED docker/firmware/lock.json does not fit its image.json: ${message}`);
  });

  it('refuses the lock of another assembler', () => {
    expect(check({}, { ...lock, image: { ...lock.image, assembler: 99 } })).toContain(
      'image.assembler: it was made by assembler 99',
    );
  });
});

describe('diffLocks', () => {
  it('lists what was added, removed and changed', () => {
    const [gcc, lib, make] = lock.debs as [PackagesLock['debs'][0], PackagesLock['debs'][0], PackagesLock['debs'][0]];
    const newer = { ...make, version: '4.4-1', sha256: sha256('new') };
    const added = { ...gcc, name: 'nasm' };
    const next: PackagesLock = {
      ...lock,
      image: { ...lock.image, digest: sha256('other') },
      index: { ...lock.index, inRelease: { ...lock.index.inRelease, date: '2026-09-01T00:00:00Z' } },
      debs: [gcc, newer, added],
    };
    expect(diffLocks(lock, next)).toEqual({
      added: [added],
      removed: [lib],
      changed: [{ from: make, to: newer }],
      image: { from: lock.image.digest, to: sha256('other') },
    });
    expect(diffLocks(lock, lock)).toMatchObject({ added: [], removed: [], changed: [], image: undefined });
  });
});
