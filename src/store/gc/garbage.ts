import { listNames } from '../../io/files.ts';
import { type Dirent, existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../../model/digest.ts';
import { systemErrorCode } from '../../model/errors.ts';
import type { Store } from '../openStore.ts';
import { readTargetRecord } from '../realisations.ts';
import type { Live } from './live.ts';

/** What may be collected. */
type GarbageKind = 'artifact' | 'source' | 'blob' | 'image' | 'log' | 'verification' | 'failed' | 'quarantine';

/** Something that nothing needs. */
export interface Garbage {
  readonly kind: GarbageKind;
  /** Digest, build key of a log or of what a verification left, or name of what was put aside. */
  readonly name: string;
  /** Below the store's folder. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
  /** Bytes on disk. */
  readonly size: number;
}

const FOLDERS: readonly { readonly kind: GarbageKind; readonly folder: string }[] = [
  { kind: 'artifact', folder: 'artifacts' },
  { kind: 'source', folder: 'sources' },
  { kind: 'blob', folder: 'blobs' },
  { kind: 'image', folder: 'images' },
  { kind: 'log', folder: 'logs' },
  { kind: 'verification', folder: 'verifications' },
  { kind: 'failed', folder: 'failed' },
  { kind: 'quarantine', folder: 'quarantine' },
];

/** Lists what is not live, and what was put aside to be looked at. */
export async function findGarbage(
  store: Store,
  live: Live,
  uses: ReadonlyMap<Digest, number>,
): Promise<readonly Garbage[]> {
  const shownLogs = await logsOfLastRuns(store);
  const found: Garbage[] = [];
  for (const { kind, folder } of FOLDERS) {
    for (const name of listNames(join(store.layout.root, folder))) {
      const digest = digestIn(kind, name);
      const named = kind === 'failed' || kind === 'quarantine';
      // What vmbuild did not name is not its to remove, wherever it was moved.
      if (named ? name.startsWith('foreign-') : !isDigest(digest)) continue;
      if (!named && live.digests.has(digest)) continue;
      if (kind === 'source' && live.unknownImages.length > 0) continue;
      if (kind === 'log' && shownLogs.has(digest)) continue;
      if (kind === 'verification' && binds(store, digest, name)) continue;
      const path = join(folder, name);
      const stat = lstatSync(join(store.layout.root, path), { throwIfNoEntry: false });
      if (stat === undefined) continue;
      // Moved to its place when it was made: its change time is that moment.
      const usedAt = Math.max(stat.ctimeMs, uses.get(digest as Digest) ?? 0);
      found.push({ kind, name: digest, path, usedAt, size: diskUsage(join(store.layout.root, path)) });
    }
  }
  return found;
}

function digestIn(kind: GarbageKind, name: string): string {
  if (kind === 'log') return name.replace(/\.log\.zst$/, '');
  return kind === 'verification' ? name.replace(/\.(?:json|log|txt|html)$/, '') : name;
}

/**
 * What verifications found out about a build key stays as long as its realisation, which binds whoever builds it again; their
 * logs and reports go as its log does.
 */
function binds({ layout }: Store, key: string, name: string): boolean {
  return name.endsWith('.json') && existsSync(layout.realisation(key as Digest));
}

/** The logs that `vmbuild log <target>` shows. */
async function logsOfLastRuns(store: Store): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (const name of listNames(join(store.layout.root, 'last'))) {
    const record = await readTargetRecord(store, name.replace(/\.json$/, ''));
    if (record !== undefined) keys.add(record.last.buildKey);
  }
  return keys;
}

/** Bytes that a file or a tree takes on disk, hard links counted once; what cannot be looked at counts nothing. */
export function diskUsage(root: string): number {
  const seen = new Set<number>();
  let bytes = 0;
  const pending = [Buffer.from(root)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    try {
      const stat = lstatSync(path);
      if (stat.nlink > 1 && !stat.isDirectory()) {
        if (seen.has(stat.ino)) continue;
        seen.add(stat.ino);
      }
      bytes += stat.blocks * 512;
      if (!stat.isDirectory()) continue;
      for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' }) as Dirent<Buffer>[])
        pending.push(Buffer.concat([path, Buffer.from('/'), entry.name]));
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '')) throw error;
    }
  }
  return bytes;
}
