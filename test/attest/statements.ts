import type { SigningKey } from '../../src/attest/keys.ts';
import type { Trust } from '../../src/attest/trust.ts';
import { type BuildKeyDocument, buildKey } from '../../src/model/buildKey.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { type Realisation, realisation } from '../../src/model/realisation.ts';
import { RUN } from '../support/runFacts.ts';

/** Trust in these keys, of which one is enough. */
export function trusting(keys: readonly SigningKey[]): Trust {
  return {
    keys: new Map(keys.map(({ publicKey }) => [publicKey.id, publicKey])),
    names: new Map(keys.map(({ publicKey }, index) => [publicKey.id, `signer${index + 1}`])),
    own: new Set(),
    need: 1,
  };
}

/** What a builder could say of a step that never ran: `step` decides the build key, `result` the artifact. */
export function statementOf(step: string, result: string): { readonly key: Digest; readonly statement: Realisation } {
  const document: BuildKeyDocument = {
    format: 1,
    platform: 'linux/amd64',
    sandbox: 1,
    image: sha256('image'),
    command: ['make', step],
    env: {},
    recipe: sha256(''),
    sourceDateEpoch: 1,
    inputs: {},
  };
  const key = buildKey(document);
  const statement = realisation(
    { digest: sha256(result), size: 10240, files: [] },
    {
      target: step,
      derivation: sha256(step),
      buildKey: key,
      document,
      ...RUN,
    },
  );
  return { key, statement };
}
