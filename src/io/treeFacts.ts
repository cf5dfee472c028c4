import { lstatSync, opendirSync } from 'node:fs';
import { sha256Stream } from '../model/digest.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { listTree, packTreePieces } from './tree.ts';

/** Up to here reading a tree, or flushing its files one by one, costs less than starting a thread or process for it. */
const SMALL = { entries: 64, bytes: 1024 * 1024 };

/** True if a folder holds so little that it can be dealt with at once. Looks at no more than it must to know that. */
export function isSmallTree(root: string): boolean {
  let entries = 0;
  let bytes = 0;
  const pending = [root];
  try {
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      using folder = opendirSync(path);
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        const child = `${path}/${entry.name}`;
        if (entry.isDirectory()) pending.push(child);
        else bytes += lstatSync(child).size;
        entries += 1;
        if (entries > SMALL.entries || bytes > SMALL.bytes) return false;
      }
    }
    return true;
  } catch {
    return false; // a folder without rights, a strange name: whoever reads it thoroughly finds out
  }
}

/**
 * Gives a folder canonical modes and computes its digests, synchronously.
 *
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree cannot hold.
 */
export function treeFacts(folder: string): ArtifactFacts {
  const entries = listTree(folder, 'artifact', true);
  const hash = sha256Stream();
  let size = 0;
  const files = new Map<string, { size: number; hash: ReturnType<typeof sha256Stream> }>();
  // One read serves both digests: of the canonical tar, and of each top-level file by itself.
  for (const { entry, bytes, content } of packTreePieces(folder, entries)) {
    hash.update(bytes);
    size += bytes.length;
    if (entry?.type !== 'file' || entry.path.includes('/')) continue;
    let file = files.get(entry.path);
    if (file === undefined) files.set(entry.path, (file = { size: entry.size, hash: sha256Stream() }));
    if (content) file.hash.update(bytes);
  }
  return {
    digest: hash.digest(),
    size,
    files: [...files].map(([name, file]) => ({ name, size: file.size, digest: file.hash.digest() })),
  };
}
