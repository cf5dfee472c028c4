import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareDebianVersions, parseDebianVersion, satisfiesVersion } from '../../src/formats/debianVersion.ts';

const hasDpkg = spawnSync('dpkg', ['--version']).status === 0;

/** In ascending order; neighbours in one list are equal. */
const ORDERED = [
  ['0~~', '0:0~~'],
  ['0~~a'],
  ['0~'],
  ['0', '0-0', '00', '0:0', '0-', '0:000-00'].filter((version) => version !== '0-'),
  ['0-1'],
  ['0a'],
  ['0+'],
  ['1.0~rc1'],
  ['1.0', '1.00', '1.0-0'],
  ['1.0-1~deb12u1'],
  ['1.0-1'],
  ['1.0-1+b1'],
  ['1.0-1.1'],
  ['1.0a'],
  ['1.0+dfsg'],
  ['1.0.1'],
  ['1.2-3-4'],
  ['1.9'],
  ['1.10'],
  ['20260711101637000000000000001'],
  ['20260711101637000000000000002'],
  ['1:0.1'],
  ['1:0.1:2'],
  ['2:0'],
];

const version = fc
  .tuple(
    fc.constantFrom('', '', '0:', '1:'),
    fc.array(fc.constantFrom('0', '00', '1', '9', '10', '.', '~', '~~', '+', 'a', 'b', 'Z', '-'), { maxLength: 6 }),
    fc.constantFrom('', '', '-0', '-1', '-1~', '-1+b2'),
  )
  .map(([epoch, parts, revision]) => `${epoch}1${parts.join('')}${revision}`.replace(/-+$/, ''));

describe('compareDebianVersions', () => {
  it('orders the listed versions', () => {
    for (const [i, left] of ORDERED.entries()) {
      for (const [j, right] of ORDERED.entries()) {
        for (const a of left)
          for (const b of right)
            expect([a, b, Math.sign(compareDebianVersions(a, b))]).toEqual([a, b, Math.sign(i - j)]);
      }
    }
  });

  it('is a total order', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        const sign = (x: string, y: string): number => Math.sign(compareDebianVersions(x, y));
        expect(sign(a, a)).toBe(0);
        expect(sign(a, b) + sign(b, a)).toBe(0);
        if (sign(a, b) <= 0 && sign(b, c) <= 0) expect(sign(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('puts a tilde before, and anything else after', () => {
    fc.assert(
      fc.property(version, (v) => {
        expect(compareDebianVersions(`${v}~x`, v)).toBeLessThan(0);
        expect(compareDebianVersions(`${v}+x`, v)).toBeGreaterThan(0);
      }),
    );
  });

  it.skipIf(!hasDpkg)('agrees with dpkg --compare-versions', () => {
    const samples = [...ORDERED.flat(), ...fc.sample(version, { numRuns: 60, seed: 1 })];
    const pairs = samples.flatMap((a, i) => [
      [a, samples[(i * 7 + 3) % samples.length] as string],
      [a, samples[(i + 1) % samples.length] as string],
    ]) as [string, string][];
    const relations = ['lt', 'eq', 'gt'];
    // One shell for all pairs: dpkg takes a few milliseconds each.
    const script =
      'while read -r a b; do for r in lt eq gt; do dpkg --compare-versions "$a" $r "$b" && echo $r; done; done';
    const input = pairs.map((pair) => pair.join(' ')).join('\n');
    const answers = execFileSync('sh', ['-c', script], { input: `${input}\n`, stdio: ['pipe', 'pipe', 'ignore'] });
    const ours = pairs.map(([a, b]) => relations[Math.sign(compareDebianVersions(a, b)) + 1]);
    expect(pairs.map((pair, i) => [...pair, ours[i]])).toEqual(
      answers
        .toString()
        .trim()
        .split('\n')
        .map((answer, i) => [...(pairs[i] as [string, string]), answer]),
    );
  });
});

describe('parseDebianVersion', () => {
  it('splits epoch, upstream and revision', () => {
    expect(parseDebianVersion('1:2.36-9+deb12u14')).toEqual({ epoch: 1, upstream: '2.36', revision: '9+deb12u14' });
    expect(parseDebianVersion('3.0-beta-2')).toEqual({ epoch: 0, upstream: '3.0-beta', revision: '2' });
    expect(parseDebianVersion('1.0')).toEqual({ epoch: 0, upstream: '1.0', revision: '' });
  });

  it.each(['', ' ', '1 0', '1_0', 'a:1', '-1:1', '1:', ':1', '1.0(2)', '1/2'])('refuses %j', (text) => {
    expect(() => parseDebianVersion(text)).toThrow(/not a Debian version/);
  });
});

describe('satisfiesVersion', () => {
  it.each([
    ['1.0', '<<', '1.1', true],
    ['1.0', '<<', '1.0', false],
    ['1.0', '<=', '1.0-0', true],
    ['1.0', '=', '1.0-1', false],
    ['1.0', '>=', '1.0', true],
    ['1.0', '>>', '1.0~rc1', true],
    ['1.0', '>>', '1.0', false],
  ] as const)('%s %s %s is %s', (a, relation, b, expected) => {
    expect(satisfiesVersion(a, relation, b)).toBe(expected);
  });
});
