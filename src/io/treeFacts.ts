import type { TarEntry } from '../formats/tarHeader.ts';
import { sha256Stream } from '../model/digest.ts';
import { outputCounter } from '../model/limits.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { listTree, packTreePieces } from './tree.ts';

/**
 * Gives a folder canonical modes and computes its digests, synchronously.
 *
 * @param limit bytes of its files in all, as their sizes say.
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree cannot hold; LIMIT_OUTPUT.
 */
export function treeFacts(folder: string, limit = Infinity): ArtifactFacts {
  const entries = listTree(folder, 'artifact', true);
  const count = outputCounter(limit);
  // Before anything is read: a sparse file would be read for hours.
  for (const { path, size } of entries) count(path, size);
  return readTree(folder, entries);
}

/** Computes the digests of a folder whose entries are listed, synchronously. */
export function readTree(folder: string, entries: readonly TarEntry[]): ArtifactFacts {
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
