import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../../model/digest.ts';
import { listNames } from '../../io/files.ts';
import { artifactOf } from '../../model/realisation.ts';
import type { Store } from '../openStore.ts';
import { readRealisation } from '../realisations.ts';

/** What collecting needs to know of a realisation. */
export interface RecordFacts {
  readonly key: Digest;
  readonly target: string;
  readonly derivation: Digest;
  readonly artifact: Digest;
  readonly image: Digest;
  /** Artifacts and sources. */
  readonly inputs: readonly Digest[];
  /** When it was recorded, or ceased to be the result of something: milliseconds since 1970. */
  readonly usedAt: number;
}

/** All realisations of a store, each read once: they never change. */
export interface RecordIndex {
  /** The realisation of a build key; undefined if none can be read. */
  readonly find: (key: Digest) => Promise<RecordFacts | undefined>;
  /** Those that were there when the index was made. */
  readonly all: () => readonly RecordFacts[];
  /** Those whose artifact this is. */
  readonly producers: (artifact: Digest) => readonly RecordFacts[];
}

/** Reads all realisations. What cannot be read is none. */
export async function indexRecords(store: Store): Promise<RecordIndex> {
  const records = new Map<Digest, RecordFacts>();
  const producers = new Map<Digest, RecordFacts[]>();
  for (const name of listNames(join(store.layout.root, 'realisations'))) {
    const key = name.replace(/\.json$/, '');
    const facts = isDigest(key) ? await readFacts(store, key) : undefined;
    if (facts === undefined) continue;
    records.set(facts.key, facts);
    const others = producers.get(facts.artifact);
    if (others === undefined) producers.set(facts.artifact, [facts]);
    else others.push(facts);
  }
  return {
    find: async (key) => {
      let facts = records.get(key);
      if (facts === undefined) facts = await readFacts(store, key);
      if (facts !== undefined) records.set(key, facts);
      return facts;
    },
    all: () => [...records.values()],
    producers: (artifact) => producers.get(artifact) ?? [],
  };
}

/** A build key and the keys of everything that it may have been made of, as far as realisations tell. */
export async function graphOf(index: RecordIndex, key: Digest): Promise<readonly Digest[]> {
  const found = new Set<Digest>([key]);
  // A set is gone through in the order of insertion, what is added meanwhile included.
  for (const next of found)
    for (const input of (await index.find(next))?.inputs ?? [])
      for (const producer of index.producers(input)) found.add(producer.key);
  return [...found];
}

async function readFacts(store: Store, key: Digest): Promise<RecordFacts | undefined> {
  const statement = await readRealisation(store, key);
  if (statement === undefined) return undefined;
  const { externalParameters, internalParameters } = statement.predicate.buildDefinition;
  const { document } = internalParameters;
  return {
    key,
    target: externalParameters.target,
    derivation: externalParameters.derivation,
    artifact: artifactOf(statement),
    image: document.image,
    inputs: Object.values(document.inputs).map(({ digest }) => digest),
    usedAt: statSync(store.layout.realisation(key), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  };
}
