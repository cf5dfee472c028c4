import { describe, expect, it } from 'vitest';
import { PackageIndex } from '../../src/images/packageIndex.ts';
import { resolvePackages } from '../../src/images/resolve.ts';
import { errorCode } from './helpers.ts';

/** `name version` → further fields. */
type Packages = Readonly<Record<string, readonly string[]>>;

function indexText(packages: Packages): string {
  return Object.entries(packages)
    .map(([title, fields]) => {
      const [name, version = '1'] = title.split(' ');
      const all = [`Package: ${name}`, `Version: ${version}`, 'Architecture: amd64', ...fields];
      const location = [`Filename: pool/main/${name}_${version}.deb`, 'Size: 1', `SHA256: ${'0'.repeat(64)}`];
      return `${[...all, ...location].join('\n')}\n`;
    })
    .join('\n');
}

/** Resolves with the index as it is and in three other orders, which must give the same. */
function resolve(packages: Packages, ...wanted: string[]): string[] {
  const entries = Object.entries(packages);
  const orders = [entries, [...entries].reverse(), [...entries].sort(), [...entries.slice(2), ...entries.slice(0, 2)]];
  const results = orders.map((order, i) => {
    const wishes = i % 2 === 0 ? wanted : [...wanted].reverse();
    return resolvePackages(wishes, new PackageIndex([indexText(Object.fromEntries(order))])).map(
      (chosen) => `${chosen.package.name} ${chosen.package.version}`,
    );
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return (results[0] as string[]).map((text) => text.replace(/ 1$/, ''));
}

function failure(packages: Packages, ...wanted: string[]): string {
  try {
    resolve(packages, ...wanted);
  } catch (error) {
    expect(errorCode(error)).toBe('IMAGE_RESOLVE');
    return (error as Error).message;
  }
  throw new Error('it resolved');
}

describe('resolvePackages', () => {
  it('follows Depends and Pre-Depends, not Recommends or Suggests, and stops at circles', () => {
    const packages = {
      a: ['Depends: b', 'Pre-Depends: c', 'Recommends: d', 'Suggests: e'],
      b: ['Depends: a'],
      c: [],
      d: [],
      e: [],
    };
    expect(resolve(packages, 'a')).toEqual(['a', 'b', 'c']);
  });

  it('adds essential packages and what they need', () => {
    expect(
      resolve({ dpkg: ['Essential: yes', 'Depends: tar'], tar: [], other: ['Priority: required'], a: [] }, 'a'),
    ).toEqual(['a', 'dpkg', 'tar']);
  });

  it('takes the newest version, and leaves other architectures alone', () => {
    expect(resolve({ 'a 1': [], 'a 1.10': [], 'a 1.9': [], 'a 2~rc1': [] }, 'a')).toEqual(['a 2~rc1']);
    const foreign = indexText({ a: [] }).replace('amd64', 'i386');
    expect(() => resolvePackages(['a'], new PackageIndex([foreign]))).toThrow(/there is no package a/);
  });

  it('takes an older version where only that satisfies', () => {
    expect(resolve({ a: ['Depends: b (<< 2)'], 'b 1.5': [], 'b 3': [] }, 'a')).toEqual(['a', 'b 1.5']);
  });

  it('prefers the first alternative that can be had', () => {
    expect(resolve({ a: ['Depends: x | y | z'], y: [], z: [] }, 'a')).toEqual(['a', 'y']);
    expect(resolve({ a: ['Depends: x (>= 2) | y'], x: [], y: [] }, 'a')).toEqual(['a', 'y']);
  });

  it('prefers an alternative that something else needs anyway, even if that comes later', () => {
    const packages = { a: ['Depends: x | y'], b: ['Depends: c'], c: ['Depends: d'], d: ['Depends: y'], x: [], y: [] };
    expect(resolve(packages, 'a', 'b')).toEqual(['a', 'b', 'c', 'd', 'y']);
  });

  it('meets virtual packages by priority and then by name, and a real package of the name first', () => {
    const awks = {
      base: ['Depends: awk'],
      gawk: ['Provides: awk'],
      'original-awk': ['Provides: awk'],
      mawk: ['Provides: awk', 'Priority: required'],
    };
    expect(resolve(awks, 'base')).toEqual(['base', 'mawk']);
    expect(resolve(awks, 'base', 'gawk')).toEqual(['base', 'gawk']);
    expect(resolve({ ...awks, awk: [] }, 'base')).toEqual(['awk', 'base']);
    expect(resolve({ a: ['Depends: v'], p2: ['Provides: v'], p1: ['Provides: v'] }, 'a')).toEqual(['a', 'p1']);
  });

  it('lets only a versioned Provides meet a versioned dependency', () => {
    const packages = {
      a: ['Depends: v (>= 2)'],
      p1: ['Provides: v'],
      p2: ['Provides: v (= 1)'],
      p3: ['Provides: v (= 2)'],
    };
    expect(resolve(packages, 'a')).toEqual(['a', 'p3']);
    expect(failure({ a: ['Depends: v (>= 2)'], p1: ['Provides: v'] }, 'a')).toContain('nothing satisfies v (>= 2)');
  });

  it('understands qualifiers', () => {
    expect(resolve({ a: ['Depends: p:any, q:native, r:amd64'], p: [], q: [], r: [] }, 'a')).toEqual([
      'a',
      'p',
      'q',
      'r',
    ]);
    expect(resolve({ a: ['Depends: p:i386 | q'], p: [], q: [] }, 'a')).toEqual(['a', 'q']);
  });

  it('goes back when an alternative leads nowhere', () => {
    expect(resolve({ a: ['Depends: x | y'], x: ['Depends: absent'], y: [] }, 'a')).toEqual(['a', 'y']);
    expect(resolve({ a: ['Depends: x | y', 'Conflicts: x'], x: [], y: [] }, 'a')).toEqual(['a', 'y']);
    const deep = {
      a: ['Depends: x | y'],
      b: ['Depends: p | q'],
      x: ['Conflicts: p, q'],
      y: [],
      p: [],
      q: [],
    };
    expect(resolve(deep, 'a', 'b')).toEqual(['a', 'b', 'p', 'y']);
  });

  it('gives up a hopeless search in bounded time', () => {
    const packages: Record<string, string[]> = { a: [] };
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
    for (const name of names) {
      packages[name] = [`Depends: ${name}-x | ${name}-y`];
      packages[`${name}-x`] = [];
      packages[`${name}-y`] = [];
    }
    packages['zz'] = [`Depends: bad1 | bad2`];
    packages['bad1'] = packages['bad2'] = ['Conflicts: a'];
    expect(failure(packages, 'a', ...names, 'zz')).toContain('conflicts with a');
  });

  it('honours versions in Conflicts and Breaks, and conflicts with what is provided', () => {
    expect(resolve({ a: ['Breaks: b (<< 1)', 'Conflicts: b (>> 1)'], b: [] }, 'a', 'b')).toEqual(['a', 'b']);
    expect(resolve({ a: ['Provides: v', 'Conflicts: v'] }, 'a')).toEqual(['a']);
    expect(failure({ a: ['Breaks: b (<< 2)'], b: [] }, 'a', 'b')).toContain('a 1 breaks b (<< 2), which is b 1 here');
    expect(failure({ a: ['Provides: v', 'Conflicts: v'], b: ['Provides: v'] }, 'a', 'b')).toContain(
      'a 1 conflicts with v, which is b 1 here',
    );
  });

  it('names the whole chain', () => {
    expect(failure({ a: ['Depends: b (>= 1)'], b: ['Depends: c | d (>= 2)'], 'd 1.5': [] }, 'a')).toBe(
      'the packages cannot be resolved: nothing satisfies c | d (>= 2) (in the index d is 1.5): ' +
        'a is wanted (it is in image.json); a needs b (>= 1)',
    );
    expect(failure({ a: ['Depends: b'], b: ['Conflicts: c'], c: [], e: ['Essential: yes', 'Depends: c'] }, 'a')).toBe(
      'the packages cannot be resolved: b 1 conflicts with c, which is c 1 here: ' +
        'a is wanted (it is in image.json); a needs b. And: e is wanted (it is essential); e needs c',
    );
    expect(failure({ a: [] }, 'b')).toBe(
      'the packages cannot be resolved: there is no package b, but it is in image.json',
    );
  });
});

describe('PackageIndex', () => {
  it('refuses a package without a name or version', () => {
    expect(() => new PackageIndex(['Package: a\nArchitecture: all\n'])).toThrow(/no field version/);
    expect(() => new PackageIndex(['Version: 1\nArchitecture: all\n'])).toThrow(/no field package/);
  });
});
