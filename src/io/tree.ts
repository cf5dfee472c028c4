import { chmodSync, closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { type TarEntry, tarHeader, tarPadding, tarTrailer } from '../formats/tarHeader.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { isWinding, leadsOut } from './escapingLink.ts';

/**
 * What a tree may hold. `artifact`: directories, files and relative symbolic links that stay inside.
 * `image`: the same, but links may point anywhere and world-writable sticky directories keep their mode.
 */
export type TreeKind = 'artifact' | 'image';

const CHUNK = 1024 * 1024;

/**
 * Bytes of the longest path in a tree. Linux takes paths of 4095 bytes (PATH_MAX), and what holds the tree, a store or a
 * sandbox, needs some of them. A step can make longer ones, folder by folder.
 */
const LONGEST_PATH = 3072;

/** Files, folders and links in a tree at most. Listing takes half a kilobyte of memory for each. */
const MOST_ENTRIES = 4_000_000;

/**
 * Lists a folder as the entries of its canonical tar: sorted by the bytes of their paths, the root first, modes
 * reduced to 0755 and 0644. Synchronous on purpose: it is many times as fast, and large trees go to a worker.
 * With `setModes` the folder itself is given these modes, so that it can be read and removed whatever a build did to it.
 *
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree of this kind cannot hold.
 */
export function listTree(root: string, kind: TreeKind = 'artifact', setModes = false): TarEntry[] {
  if (setModes) chmodSync(root, 0o755);
  const entries: { key: Buffer; entry: TarEntry }[] = [
    { key: Buffer.alloc(0), entry: { path: '', type: 'directory', mode: 0o755, size: 0 } },
  ];
  const pending = [''];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const name of readdirSync(Buffer.from(`${root}/${folder}`), { encoding: 'buffer' })) {
      const path = folder === '' ? utf8(name, folder) : `${folder}/${utf8(name, folder)}`;
      const key = Buffer.from(path);
      if (key.length > LONGEST_PATH) throw refused(folder, `holds a path of more than ${LONGEST_PATH} bytes`);
      const entry = describe(root, path, kind, setModes);
      if (entry.type === 'directory') pending.push(path);
      if (entries.length === MOST_ENTRIES) throw refused('', `holds more than ${MOST_ENTRIES} entries`);
      entries.push({ key, entry });
    }
  }
  entries.sort((a, b) => Buffer.compare(a.key, b.key));
  const sorted = entries.map(({ entry }) => entry);
  if (kind === 'artifact') refuseWindingEscapes(sorted);
  return sorted;
}

/** A run of bytes of a canonical tar. */
export interface TarPiece {
  /** Only valid until the next piece is asked for. */
  readonly bytes: Uint8Array;
  /** The entry that it belongs to; undefined for the end of the archive. */
  readonly entry: TarEntry | undefined;
  /** True if it is content of a file, false for headers and padding. */
  readonly content: boolean;
}

/** The canonical tar of a folder with the entry that each piece belongs to. */
export function* packTreePieces(root: string, entries: readonly TarEntry[]): Generator<TarPiece> {
  let length = 0;
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (const entry of entries) {
    const header = tarHeader(entry);
    length += header.length;
    yield { bytes: header, entry, content: false };
    if (entry.type !== 'file') continue;
    for (const bytes of readPieces(`${root}/${entry.path}`, entry, buffer)) {
      length += bytes.length;
      yield { bytes, entry, content: true };
    }
    const padding = tarPadding(entry.size);
    length += padding.length;
    if (padding.length > 0) yield { bytes: padding, entry, content: false };
  }
  yield { bytes: tarTrailer(length), entry: undefined, content: false };
}

/** The canonical tar of a folder, piece by piece. Each piece is only valid until the next is asked for. */
export function* packTree(root: string, entries: readonly TarEntry[]): Generator<Uint8Array> {
  for (const { bytes } of packTreePieces(root, entries)) yield bytes;
}

/** sha256 of the canonical tar of a folder. */
export function treeDigest(root: string, entries: readonly TarEntry[]): Digest {
  const hash = sha256Stream();
  for (const piece of packTree(root, entries)) hash.update(piece);
  return hash.digest();
}

function* readPieces(path: string, entry: TarEntry, buffer: Buffer): Generator<Uint8Array> {
  const file = openSync(path, 'r');
  try {
    let left = entry.size;
    while (left > 0) {
      const count = readSync(file, buffer, 0, Math.min(left, CHUNK), null);
      if (count === 0)
        throw new VmbuildError('OUTPUT_INVALID', `${quote(entry.path)} became shorter while it was read`);
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}

function describe(root: string, path: string, kind: TreeKind, setModes: boolean): TarEntry {
  const stat = lstatSync(`${root}/${path}`);
  if (stat.isSymbolicLink()) {
    const target = utf8(readlinkSync(Buffer.from(`${root}/${path}`), { encoding: 'buffer' }), path);
    if (kind === 'artifact') refuseEscape(path, target);
    return { path, type: 'symlink', mode: 0o755, size: 0, target };
  }
  if (kind === 'artifact' && (stat.mode & 0o6000) !== 0) throw refused(path, 'has a setuid or setgid bit');
  if (!stat.isDirectory() && !stat.isFile()) throw refused(path, 'is a special file (device, socket or pipe)');
  const mode = canonicalMode(stat, kind);
  if (setModes && (stat.mode & 0o7777) !== mode) chmodSync(`${root}/${path}`, mode);
  return stat.isDirectory()
    ? { path, type: 'directory', mode, size: 0 }
    : { path, type: 'file', mode, size: stat.size };
}

function canonicalMode(stat: Stats, kind: TreeKind): number {
  if (stat.isDirectory()) return kind === 'image' && (stat.mode & 0o7777) === 0o1777 ? 0o1777 : 0o755;
  return (stat.mode & 0o111) === 0 ? 0o644 : 0o755;
}

/** Links that lead out of the tree by way of other links. */
function refuseWindingEscapes(entries: readonly TarEntry[]): void {
  const winding = entries.filter(({ target }) => target !== undefined && isWinding(target));
  if (winding.length === 0) return;
  const links = new Map(entries.flatMap(({ path, target }) => (target === undefined ? [] : [[path, target] as const])));
  for (const link of winding) {
    if (leadsOut(link, links)) {
      throw refused(
        link.path,
        `is a link that leads out of the tree, to ${quote(link.target as string)}, through another`,
      );
    }
  }
}

/** A link may only lead to a place inside the tree, however it is mounted. */
function refuseEscape(path: string, target: string): void {
  if (target.startsWith('/')) throw refused(path, `is an absolute link to ${quote(target)}`);
  let depth = path.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) throw refused(path, `is a link that leads out of the tree, to ${quote(target)}`);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw refused(where, `holds a name that is not UTF-8: ${quote(bytes.toString('latin1'))}`);
  }
}

function refused(path: string, why: string): VmbuildError {
  return new VmbuildError(
    'OUTPUT_INVALID',
    `${path === '' ? 'the root' : quote(path)} ${why}; a tree cannot hold that`,
  );
}

/** Quotes a path so that control characters in it cannot reach a terminal; of a very long one the beginning. */
function quote(path: string): string {
  return path.length > 300 ? `${JSON.stringify(path.slice(0, 200))}…` : JSON.stringify(path);
}
