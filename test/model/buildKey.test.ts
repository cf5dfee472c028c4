import { describe, expect, it } from 'vitest';
import { buildKey, type BuildKeyDocument } from '../../src/model/buildKey.ts';
import { type Derivation, derivationHash } from '../../src/model/derivation.ts';
import type { Digest } from '../../src/model/digest.ts';

const digest = (character: string): Digest => character.repeat(64) as Digest;

const document: BuildKeyDocument = {
  format: 1,
  platform: 'linux/amd64',
  sandbox: 1,
  image: digest('a'),
  command: ['bash', '/recipe/build.sh'],
  env: { B: '2', A: '1' },
  recipe: digest('b'),
  sourceDateEpoch: 315532800,
  inputs: { source: { kind: 'file', digest: digest('c') }, linux: { kind: 'tree', digest: digest('d') } },
};

const derivation: Derivation = {
  format: 1,
  name: 'example',
  platform: 'linux/amd64',
  sandbox: 1,
  image: digest('a'),
  command: ['bash', '/recipe/build.sh'],
  env: { A: '1' },
  recipe: digest('b'),
  sourceDateEpoch: 315532800,
  inputs: { linux: digest('e') },
  sources: { source: { kind: 'file', digest: digest('c') } },
};

// These hashes are what other people's caches hold. If one of them changes, the format has changed: give it a
// new number and keep the old one working.
describe('format 1', () => {
  it('keeps its build key', () => {
    expect(buildKey(document)).toBe('996e64871e69bd4d85afdffa3bc967215561d55a3e393fd65b6ee1007f8dae34');
  });

  it('keeps its derivation hash', () => {
    expect(derivationHash(derivation)).toBe('c430f94120c538f48e4efc5a6444903d360725fcaa37227239be35ad7a6082a3');
  });
});

describe('the build key', () => {
  const changes: readonly Partial<BuildKeyDocument>[] = [
    { platform: 'linux/arm64' },
    { sandbox: 2 },
    { image: digest('f') },
    { command: ['bash', '-x', '/recipe/build.sh'] },
    { env: { A: '1', B: '3' } },
    { recipe: digest('f') },
    { sourceDateEpoch: 1 },
    { inputs: { source: { kind: 'file', digest: digest('c') } } },
    { inputs: { ...document.inputs, linux: { kind: 'tree', digest: digest('f') } } },
    { inputs: { source: document.inputs['source'] as never, kernel: document.inputs['linux'] as never } },
    { inputs: { ...document.inputs, linux: { kind: 'file', digest: digest('d') } } },
  ];

  it.each(changes)('changes with %j', (change) => {
    expect(buildKey({ ...document, ...change })).not.toBe(buildKey(document));
  });

  it('does not depend on the order of names', () => {
    const inputs = Object.fromEntries(Object.entries(document.inputs).toReversed());
    expect(buildKey({ ...document, env: { A: '1', B: '2' }, inputs })).toBe(buildKey(document));
  });
});
