/**
 * Where things are in an image: pure rules on paths, the same for every package, so that the order in
 * which packages are read can never matter.
 */

/** Top-level directories that are merged into /usr, as every Debian from 12 on is (`usr-is-merged`). */
const MERGED_DIRECTORIES: readonly string[] = ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin'];

/** Directories that are links in a Debian system though no package ships them as such: path → where it is. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ...MERGED_DIRECTORIES.map((name): [string, string] => [name, `usr/${name}`]),
  ['var/run', 'run'],
  ['var/lock', 'run/lock'],
]);

/** The aliases that become links in every image; the others only where their target exists. */
export const ALWAYS_LINKED: ReadonlySet<string> = new Set(['bin', 'lib', 'lib64', 'sbin', 'var/run', 'var/lock']);

/** Alias → path, both relative to the root, sorted. */
export function aliases(): readonly (readonly [string, string])[] {
  return [...ALIASES].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Directories of which nothing enters an image: no build reads them, they are a sixth of its size, and most
 * of the reasons for two systems to differ. Licences and copyright files stay in the .deb files.
 */
const DROPPED_DIRECTORIES: readonly string[] = [
  'usr/share/bug',
  'usr/share/doc',
  'usr/share/doc-base',
  'usr/share/info',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/share/man',
];

/** True for what is below a dropped directory, and for the directory itself. */
export function isDropped(path: string): boolean {
  return DROPPED_DIRECTORIES.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/**
 * Turns the name of an entry of a package into its path in the image: relative to the root, without `./`,
 * with merged directories resolved. Empty for the root.
 *
 * @throws TypeError for absolute names, `..`, empty or `.` parts, NUL, and names that are not UTF-8.
 */
export function imagePath(name: string): string {
  const path = plainPath(name);
  for (const [alias, target] of ALIASES) {
    if (path === alias) return target;
    if (path.startsWith(`${alias}/`)) return `${target}${path.slice(alias.length)}`;
  }
  return path;
}

/** True if `name` is one of the aliases itself, which only a link to its target may replace. */
export function isAlias(name: string): boolean {
  return ALIASES.has(plainPath(name));
}

/**
 * The path that a package means by a symbolic link: as seen from where it put the link, before directories are
 * merged; aliases in the result are resolved, other links not. Undefined if it leads above the root.
 */
export function linkDestination(name: string, target: string): string | undefined {
  const parts = target.startsWith('/') ? [] : plainPath(name).split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return imagePath(parts.join('/'));
}

/** The path that an entry of an archive names, relative to its root and without `./`; throws as `imagePath`. */
export function plainPath(name: string): string {
  // Tar names are bytes; the parser turns what is not UTF-8 into U+FFFD.
  if (name.includes('\uFFFD')) throw new TypeError(`a name that is not UTF-8: ${JSON.stringify(name)}`);
  if (name.includes('\0')) throw new TypeError(`a name with a NUL: ${JSON.stringify(name)}`);
  if (name.startsWith('/')) throw new TypeError(`an absolute name: ${JSON.stringify(name)}`);
  const path = name.replace(/^\.(?:\/|$)/, '').replace(/\/$/, '');
  if (path === '') return '';
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') throw new TypeError(`an unsafe name: ${JSON.stringify(name)}`);
  }
  return path;
}
