import { ImageTree } from './imageTree.ts';
import type { LayerEntry } from './unpackLayer.ts';

/**
 * Lays the layers of a pulled image over one another, the lowest first (OCI image specification v1.1, "Applying
 * Changesets").
 *
 * @throws VmbuildError IMAGE_ASSEMBLY if something lies below what is no directory.
 */
export function applyLayers(layers: readonly (readonly LayerEntry[])[]): ImageTree {
  const tree = new ImageTree();
  for (const entries of layers) {
    // A whiteout is about the layers below, wherever in the layer it stands.
    for (const entry of entries) {
      if (entry.type === 'whiteout') tree.remove(entry.path);
      if (entry.type === 'opaque') tree.removeBelow(entry.path);
    }
    for (const entry of entries) {
      if (entry.path === '' || entry.type === 'whiteout' || entry.type === 'opaque') continue;
      const isDirectory = tree.get(entry.path)?.type === 'directory';
      if (isDirectory !== (entry.type === 'directory')) tree.remove(entry.path);
      if (entry.type === 'directory') tree.set(entry.path, { type: 'directory', sticky: entry.sticky });
      else if (entry.type === 'symlink') tree.set(entry.path, { type: 'symlink', target: entry.target });
      else tree.set(entry.path, { type: 'file', executable: entry.executable, content: { blob: entry.blob } });
    }
  }
  return tree;
}
