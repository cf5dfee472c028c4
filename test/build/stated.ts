import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../../src/model/digest.ts';
import { buildKey } from '../../src/model/buildKey.ts';
import { type Realisation, realisation } from '../../src/model/realisation.ts';
import { adoptTree } from '../../src/store/artifacts.ts';
import { checkStore } from '../../src/store/check/checkStore.ts';
import type { Finding } from '../../src/store/check/finding.ts';
import type { Store } from '../../src/store/openStore.ts';
import { statementOf } from '../attest/statements.ts';
import { RUN } from '../support/runFacts.ts';

/** A tree in a store, and what somebody who built it would state. */
export interface Stated {
  readonly digest: Digest;
  readonly key: Digest;
  readonly statement: Realisation;
}

/** Puts a tree of these files into a store as if a step had left it; nothing is recorded. */
export async function adoptStatedTree(
  store: Store,
  target: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Stated> {
  const folder = await mkdtemp(join(store.layout.temporary, 'tree-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const facts = await adoptTree(store, folder);
  const { document } = statementOf(target, '').statement.predicate.buildDefinition.internalParameters;
  const key = buildKey(document);
  const run = { target, derivation: statementOf(target, '').key, buildKey: key, document, ...RUN };
  return { digest: facts.digest, key, statement: realisation(facts, run) };
}

/** What a store has taken, and what is left in its scratch folder. */
export function leftIn({ layout }: Store): readonly string[] {
  return ['artifacts', 'sources', 'realisations', 'tmp'].flatMap((folder) => {
    try {
      return readdirSync(join(layout.root, folder)).map((name) => `${folder}/${name}`);
    } catch {
      return [];
    }
  });
}

/** What a check of a store finds. */
export async function findings(store: Store): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const { signal } = new AbortController();
  await checkStore(store, { signal, onFinding: (finding) => void found.push(finding), threads: 1 });
  return found;
}
