import PQueue from 'p-queue';
import { parsePublicKey, type PublicKey } from '../attest/keys.ts';
import type { Trust } from '../attest/trust.ts';
import { type Envelope, readEnvelopes } from '../model/envelope.ts';
import { parseSigners, SIGNERS_PATH } from '../substituters/layout.ts';
import type { Substituter } from '../substituters/substituter.ts';

/** Keys that a cache lists and that are not trusted: more of them are not asked for, because anybody can make up any number. */
const MOST_STRANGERS = 64;

/** Bytes of one file of statements that are read. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Requests at once. */
const REQUESTS = 16;

/** Whoever has pushed to some caches, believed or not. */
export interface Everybody {
  /** Their keys say who is meant, not that they are right. */
  readonly keys: Trust;
  /** What the caches have at the paths, of all who may have written there. */
  readonly ask: (pathsOf: (signer: string) => readonly string[]) => Promise<readonly Heard[]>;
}

/** One file of statements. */
export interface Heard {
  readonly cache: string;
  readonly path: string;
  readonly envelopes: readonly Envelope[];
  /** Lines that are no envelope. */
  readonly unreadable: number;
}

/** Finds out who has pushed to the caches. A cache that fails has been dropped, with a warning, when this returns. */
export async function findEverybody(
  caches: readonly Substituter[],
  trust: Trust,
  warn: (message: string) => void,
): Promise<Everybody> {
  const queue = new PQueue({ concurrency: REQUESTS });
  const all = new Map<string, PublicKey>(trust.keys);
  const askable: { readonly cache: Substituter; readonly signers: readonly string[] }[] = [];
  for (const cache of caches) {
    const listed = listedKeys((await readText(cache, SIGNERS_PATH, warn)) ?? '').filter(
      ({ id }) => !trust.keys.has(id),
    );
    if (listed.length > MOST_STRANGERS) {
      warn(
        `${cache.where} lists ${listed.length} keys that are not trusted; the first ${MOST_STRANGERS} are asked for`,
      );
    }
    const strangers = listed.slice(0, MOST_STRANGERS);
    for (const key of strangers) all.set(key.id, key);
    askable.push({ cache, signers: [...trust.keys.keys(), ...strangers.map(({ id }) => id)] });
  }
  return {
    // Nobody is `own` here, so that every key keeps its id.
    keys: { keys: all, names: trust.names, own: new Set(), need: 1 },
    ask: async (pathsOf) => {
      const heard = await queue.addAll(
        askable.flatMap(({ cache, signers }) =>
          signers.flatMap(pathsOf).map((path) => async (): Promise<Heard | undefined> => {
            const text = await readText(cache, path, warn);
            return text === undefined ? undefined : { cache: cache.where, path, ...readEnvelopes(text) };
          }),
        ),
      );
      return heard.filter((each) => each !== undefined);
    },
  };
}

function listedKeys(text: string): readonly PublicKey[] {
  const keys = new Map<string, PublicKey>();
  for (const entry of Object.values(parseSigners(text))) {
    try {
      const key = parsePublicKey(entry);
      keys.set(key.id, key);
    } catch {
      // No key, so nobody who could have signed anything.
    }
  }
  return [...keys.values()];
}

/** What lies at a path; an empty text for what is too long, so that whoever wrote it cannot silence the others. */
async function readText(
  cache: Substituter,
  path: string,
  warn: (message: string) => void,
): Promise<string | undefined> {
  return cache.use(path, async ({ body }) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= MOST_BYTES) continue;
      warn(`${cache.where}: ${path} is longer than ${MOST_BYTES} bytes, and not read`);
      return '';
    }
    return Buffer.concat(chunks).toString();
  });
}
