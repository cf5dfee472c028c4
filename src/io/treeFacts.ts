import type { TarEntry } from '../formats/tarHeader.ts';
import { sha256Stream } from '../model/digest.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { listTree, packTreePieces } from './tree.ts';

/**
 * Gives a folder canonical modes and computes its digests, synchronously.
 *
 * @throws VmbuildError OUTPUT_INVALID that names the first entry which a tree cannot hold.
 */
export function treeFacts(folder: string): ArtifactFacts {
  return readTree(folder, listTree(folder, 'artifact', true));
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
