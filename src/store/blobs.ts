import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { exists, flush, listNames, writeFileAtomic } from '../io/files.ts';
import { acquireLock } from '../io/lock.ts';
import { type Digest, isDigest, sha256 } from '../model/digest.ts';
import { explainSystemError, systemErrorCode, unreadable, VmbuildError } from '../model/errors.ts';
import { isMountName, isTargetName } from '../model/names.ts';
import { stagingPath, type Store } from './openStore.ts';
import { sealRecord, unsealRecord } from './sealedRecord.ts';

/**
 * Vendor blobs: files of the user's own that are bound to a platform's slots. They never leave the store by themselves, are
 * readable by their owner only, and are kept as long as they are bound or a root was made with them.
 */

/** A file that is bound to a slot, and what was taken out of it. */
export interface Binding {
  /** The file as the user gave it; only its parts are in the store. */
  readonly file: { readonly name: string; readonly sha256: Digest; readonly size: number };
  /** Mount name → content in the store. Offsets are those in the file, bytes. */
  readonly parts: Readonly<Record<string, { readonly sha256: Digest; readonly size: number; readonly offset: number }>>;
  /** When it was bound, RFC 3339. */
  readonly at: string;
}

/** The bound slots of a platform by name. */
export type Bindings = Readonly<Record<string, Binding>>;

const digest = v.custom<Digest>((value) => isDigest(value));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const bindingsSchema = v.strictObject({
  format: v.literal(1),
  slots: v.record(
    v.pipe(v.string(), v.check(isTargetName)),
    v.strictObject({
      file: v.strictObject({ name: v.string(), sha256: digest, size: count }),
      parts: v.record(
        v.pipe(v.string(), v.check(isMountName)),
        v.strictObject({ sha256: digest, size: count, offset: count }),
      ),
      at: v.string(),
    }),
  ),
});

/**
 * The bindings of a platform; none if it has none.
 *
 * @throws VmbuildError STORE_DAMAGED if they cannot be read: what is bound must not be taken for unbound.
 */
export function readBindings({ layout }: Pick<Store, 'layout'>, platform: string): Bindings {
  const path = layout.bindings(platform);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {};
    throw unreadable(path, error);
  }
  const bindings = parseBindings(text);
  if (bindings !== undefined) return bindings;
  throw new VmbuildError('STORE_DAMAGED', `the blobs bound to ${platform} cannot be told: ${path} is damaged`, {
    hints: [`Remove that file, and add the blobs again: vmbuild blob add ${platform} <file>`],
  });
}

/** The bindings in this text; undefined if it holds none. */
export function parseBindings(text: string): Bindings | undefined {
  const value = unsealRecord(text, ['format', 'slots']);
  return v.is(bindingsSchema, value) ? value.slots : undefined;
}

/** Digests of all blobs that are bound, whatever the platform. */
export function boundBlobs(store: Pick<Store, 'layout'>): ReadonlySet<Digest> {
  const bound = new Set<Digest>();
  for (const name of listNames(dirname(store.layout.bindings('any')))) {
    const platform = name.replace(/\.json$/, '');
    if (platform === name || !isTargetName(platform)) continue;
    for (const { parts } of Object.values(readBindings(store, platform)))
      for (const { sha256: part } of Object.values(parts)) bound.add(part);
  }
  return bound;
}

/** Path of a blob for somebody who is going to rely on it: it is pinned. Undefined if the store lacks it. */
export async function claimBlob(store: Store, blob: Digest): Promise<string | undefined> {
  await store.pins.add([blob]);
  const path = store.layout.blob(blob);
  return (await exists(path)) ? path : undefined;
}

/** Takes a blob into the store, flushed and for its owner's eyes only. It is pinned. */
export async function adoptBlob(store: Store, content: Uint8Array): Promise<Digest> {
  const name = sha256(content);
  const path = store.layout.blob(name);
  try {
    await store.pins.add([name]);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    chmodSync(dirname(path), 0o700);
    // Also over one that is there: whoever adds a blob again may do so because it was damaged.
    const temporary = `${stagingPath(store)}${name}.blob`;
    try {
      writeFileSync(temporary, content, { mode: 0o600 });
      await flush(temporary);
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
    await flush(dirname(path));
  } catch (error) {
    throw explainSystemError(error, 'storing a vendor blob');
  }
  return name;
}

/**
 * Changes the bindings of a platform, all or nothing. Nobody else changes them meanwhile, and no collection runs.
 *
 * @returns what `change` returned: the bindings as they are now.
 */
export async function changeBindings(
  store: Store,
  platform: string,
  signal: AbortSignal,
  change: (before: Bindings) => Bindings,
): Promise<Bindings> {
  const { layout } = store;
  try {
    await using _lock = await acquireLock(layout.gcLock, { signal, patience: PATIENCE });
    const slots = change(readBindings(store, platform));
    await writeFileAtomic(layout.bindings(platform), sealRecord({ format: 1, slots }), stagingPath(store));
    return slots;
  } catch (error) {
    throw explainSystemError(error, 'binding a vendor blob');
  }
}

/** Milliseconds to wait in line for those who are just noting what they use. */
const PATIENCE = 500;
