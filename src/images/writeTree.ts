import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { ImageTree } from './imageTree.ts';

/**
 * Writes an image tree to a new folder, owned by whoever runs this, with all times at the epoch. Blobs are moved
 * there, so it works once, and the blobs must be on the same file system.
 */
export function writeTree(tree: ImageTree, root: string): void {
  const nodes = tree.sorted();
  mkdirSync(root, { mode: 0o755 });
  chmodSync(root, 0o755);
  /** Where a blob has gone, for hard links. */
  const moved = new Map<string, string>();
  for (const [path, node] of nodes) {
    const target = `${root}/${path}`;
    if (node.type === 'directory') {
      mkdirSync(target);
      // After mkdir: neither the umask nor a filter on the sticky bit applies to chmod.
      chmodSync(target, node.sticky ? 0o1777 : 0o755);
      continue;
    }
    if (node.type === 'symlink') {
      symlinkSync(node.target, target);
      lutimesSync(target, 0, 0);
      continue;
    }
    if ('text' in node.content) {
      writeFileSync(target, node.content.text, { flag: 'wx' });
      chmodSync(target, node.executable ? 0o755 : 0o644);
    } else {
      const first = moved.get(node.content.blob);
      if (first === undefined) renameSync(node.content.blob, target);
      else linkSync(first, target);
      moved.set(node.content.blob, target);
    }
    utimesSync(target, 0, 0);
  }
  // Last, and from the leaves: putting something into a directory changes its time.
  for (const [path, node] of [...nodes].reverse()) {
    if (node.type === 'directory') utimesSync(`${root}/${path}`, 0, 0);
  }
  utimesSync(root, 0, 0);
}
