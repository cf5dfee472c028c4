import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/model/digest.ts';
import { realisation } from '../../src/model/realisation.ts';

const digest = (character: string): Digest => character.repeat(64) as Digest;

const GOLDEN = new URL('golden/realisation.json', import.meta.url);

describe('a realisation', () => {
  it('is the statement that others can read: in-toto v1 with SLSA provenance v1', () => {
    const statement = realisation(
      {
        digest: digest('1'),
        size: 10240,
        files: [
          { name: 'a.rom', digest: digest('2'), size: 16 },
          { name: 'b', digest: digest('3'), size: 0 },
        ],
      },
      {
        target: 'example',
        derivation: digest('e'),
        buildKey: digest('f'),
        document: {
          format: 1,
          platform: 'linux/amd64',
          sandbox: 1,
          image: digest('a'),
          command: ['bash', '/recipe/build.sh'],
          env: { A: '1' },
          recipe: digest('b'),
          sourceDateEpoch: 315532800,
          inputs: { source: { kind: 'file', digest: digest('c') }, linux: { kind: 'tree', digest: digest('d') } },
        },
        licence: 'may-be-shared',
        executor: 'namespace',
        vmbuildVersion: '1.2.3',
        invocationId: '00000000-0000-4000-8000-000000000000',
        startedOn: new Date('2026-01-02T03:04:05.678Z'),
        finishedOn: new Date('2026-01-02T03:04:06.789Z'),
      },
    );
    // What is published lives on elsewhere: a change of this text is a new format.
    expect(JSON.stringify(statement)).toBe(JSON.stringify(JSON.parse(readFileSync(GOLDEN, 'utf8'))));
  });
});
