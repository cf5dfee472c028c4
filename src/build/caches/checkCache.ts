import PQueue from 'p-queue';
import { signersOf } from '../../attest/dsse.ts';
import type { PublicKey } from '../../attest/keys.ts';
import { buildKeyOf, parseStatement } from '../../attest/statements.ts';
import { payloadOf } from '../../model/envelope.ts';
import { kindOfPath, SIGNERS_PATH } from '../../substituters/layout.ts';
import type { ObjectStore } from '../../substituters/objectStore.ts';
import { checkObject, isWrongContent } from './checkObject.ts';
import { namedBy, readEnvelopesAt, readSigners, realisationIn } from './contents.ts';

/** Objects that are read at once. */
const READERS = 4;

/** Something in a cache that is not as it should be. */
export interface CacheFinding {
  /**
   * `damaged`: not what its name says. `missing`: named by a statement, and not there (a reader builds it, or asks another cache).
   * `extra`: nothing that vmbuild writes. `leftover`: an upload that never ended, or is still going on; no fault.
   */
  readonly trouble: 'damaged' | 'missing' | 'extra' | 'leftover';
  readonly path: string;
  readonly message: string;
}

/** What was looked at. */
export interface CacheSummary {
  readonly objects: number;
  readonly statements: number;
  /** Bytes of objects. */
  readonly bytes: number;
}

/**
 * Compares everything at these paths of a cache with its name and with what it refers to. Changes nothing, and may run beside
 * pushes: what is being written appears whole.
 */
export async function checkCache(
  cache: ObjectStore,
  paths: readonly string[],
  { signal, onFinding }: { readonly signal: AbortSignal; readonly onFinding: (finding: CacheFinding) => void },
): Promise<CacheSummary> {
  const keys = await readSigners(cache);
  const sizes = new Map<string, number>();
  let statements = 0;
  const [immutable, changing] = [
    paths.filter((path) => kindOfPath(path) === 'immutable'),
    paths.filter((path) => kindOfPath(path) === 'changing' && path !== SIGNERS_PATH),
  ];
  for (const path of paths) {
    if (kindOfPath(path) !== undefined) continue;
    if (path.endsWith('.tmp')) onFinding({ trouble: 'leftover', path, message: 'an upload that has not ended' });
    else onFinding({ trouble: 'extra', path, message: 'nothing that vmbuild writes' });
  }
  for (const path of changing) {
    signal.throwIfAborted();
    try {
      const found = await checkStatements(cache, path, keys);
      statements += found.count;
      for (const { artifact, size } of found.named) {
        sizes.set(artifact, Math.max(size, sizes.get(artifact) ?? 0));
      }
    } catch (error) {
      if (!isWrongContent(error)) throw error;
      onFinding({ trouble: 'damaged', path, message: error.message });
    }
  }
  let [objects, bytes] = [0, 0];
  const queue = new PQueue({ concurrency: READERS });
  await queue.addAll(
    immutable.map((path) => async () => {
      signal.throwIfAborted();
      try {
        const checked = await checkObject(cache, path, { signal, limit: sizes.get(path) });
        if (checked === undefined) return;
        objects += 1;
        bytes += checked.size;
      } catch (error) {
        signal.throwIfAborted();
        if (!isWrongContent(error)) throw error;
        onFinding({ trouble: 'damaged', path, message: error.message });
      }
    }),
  );
  const there = new Set(immutable);
  for (const path of sizes.keys()) {
    if (there.has(path) || (await cache.stat(path)) !== undefined) continue;
    onFinding({ trouble: 'missing', path, message: 'a statement names it, and it is not there' });
  }
  return { objects, statements, bytes };
}

/** @throws TypeError for a file in which something is not what its place says. */
async function checkStatements(
  cache: ObjectStore,
  path: string,
  keys: ReadonlyMap<string, PublicKey>,
): Promise<{
  readonly count: number;
  readonly named: readonly { readonly artifact: string; readonly size: number }[];
}> {
  const [folder, name, file = ''] = path.split('/');
  const signer = file.replace(/\.jsonl$/, '');
  const named = [];
  const envelopes = await readEnvelopesAt(cache, path);
  for (const [index, envelope] of envelopes.entries()) {
    const wrong = (why: string): TypeError => new TypeError(`line ${index + 1}: ${why}`);
    const statement = parseStatement(payloadOf(envelope));
    if (statement === undefined) throw wrong('it carries no statement');
    const known = envelope.signatures.filter(({ keyid }) => keys.has(keyid));
    if (known.length > 0 && signersOf(envelope, keys).length === 0) throw wrong('its signature is wrong');
    if (folder === 'statements') {
      if (buildKeyOf(statement) !== name) throw wrong('it is about another build key');
      if (!envelope.signatures.some(({ keyid }) => keyid === signer)) throw wrong('it is of another signer');
    }
    const realisation = realisationIn(envelope);
    if (realisation !== undefined) named.push(namedBy(realisation));
  }
  return { count: envelopes.length, named };
}
