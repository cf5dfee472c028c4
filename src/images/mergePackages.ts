import { readFileSync } from 'node:fs';
import { parseDependencies, versionMatches } from '../formats/debianDependency.ts';
import { ImageTree, refused } from './imageTree.ts';
import type { PackageEntry, UnpackedPackage } from './packageEntry.ts';

type Claim = { readonly owner: UnpackedPackage; readonly entry: PackageEntry };

/**
 * Lays packages over one another. The result does not depend on their order: where two claim one path, either
 * both say the same, or one declares that it replaces the other's files (Debian policy §7.6), or it is an error.
 *
 * @throws VmbuildError IMAGE_ASSEMBLY that names the path and both packages.
 */
export function mergePackages(packages: readonly UnpackedPackage[]): ImageTree {
  const claims = new Map<string, Claim>();
  for (const owner of [...packages].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const entry of owner.entries) {
      if (entry.path === '') continue;
      const claim = { owner, entry };
      const earlier = claims.get(entry.path);
      claims.set(entry.path, earlier === undefined ? claim : settle(earlier, claim));
    }
  }
  const tree = new ImageTree();
  for (const [path, { owner, entry }] of [...claims].sort(([a], [b]) => (a < b ? -1 : 1))) {
    refuseBelowNonDirectory(path, owner, claims);
    if (entry.type === 'directory') tree.set(path, { type: 'directory', sticky: entry.sticky });
    else if (entry.type === 'symlink') tree.set(path, { type: 'symlink', target: entry.target });
    else tree.set(path, { type: 'file', executable: entry.executable, content: { blob: entry.blob } });
  }
  return tree;
}

/** Which of two claims on a path holds. */
function settle(a: Claim, b: Claim): Claim {
  if (a.entry.type === 'directory' && b.entry.type === 'directory') {
    return b.entry.sticky ? b : a;
  }
  if (same(a.entry, b.entry)) return a;
  const path = `/${a.entry.path}`;
  if (a.owner.name === b.owner.name) throw refused(`the package ${a.owner.name} holds ${path} twice, and not the same`);
  if (a.entry.type !== 'directory' && b.entry.type !== 'directory') {
    const first = replaces(a.owner, b.owner);
    const second = replaces(b.owner, a.owner);
    if (first !== second) return first ? a : b;
  }
  throw refused(
    `two packages claim ${path}: ${a.owner.name} as a ${a.entry.type}, ${b.owner.name} as a ${b.entry.type}`,
  );
}

function same(a: PackageEntry, b: PackageEntry): boolean {
  if (a.type === 'symlink' && b.type === 'symlink') return a.target === b.target;
  if (a.type !== 'file' || b.type !== 'file' || a.executable !== b.executable) return false;
  return a.blob === b.blob || readFileSync(a.blob).equals(readFileSync(b.blob));
}

function replaces(owner: UnpackedPackage, other: UnpackedPackage): boolean {
  return parseDependencies(owner.replaces).some((clause) =>
    clause.some((relation) => relation.name === other.name && versionMatches(relation, other.version)),
  );
}

/** Something below a link or a file: dpkg would follow the link, and where that leads depends on the order. */
function refuseBelowNonDirectory(path: string, owner: UnpackedPackage, claims: ReadonlyMap<string, Claim>): void {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    const parent = claims.get(path.slice(0, slash));
    if (parent === undefined || parent.entry.type === 'directory') continue;
    throw refused(
      `${owner.name} holds /${path}, but ${parent.owner.name} makes /${parent.entry.path} a ${parent.entry.type}`,
    );
  }
}
