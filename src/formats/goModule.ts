import { hash } from 'node:crypto';
import { VmbuildError } from '../model/errors.ts';
import type { GoModule } from '../model/source.ts';

/**
 * Names, hashes and files of Go modules: https://go.dev/ref/mod (go.sum files, GOPROXY protocol,
 * module zip files) and golang.org/x/mod/sumdb/dirhash.
 */

const H1 = /^h1:[A-Za-z0-9+/]{43}=$/;
// A path element is ASCII letters, digits and -._~ (ref/mod#go-mod-file-ident); this is the looser common part.
const PATH_ELEMENT = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/;
const VERSION = /^v[0-9]+\.[0-9]+\.[0-9]+(?:[-+][A-Za-z0-9.+-]+)?$/;

/** True for a well-formed `h1:` hash. */
export function isH1(text: string): boolean {
  return H1.test(text);
}

/**
 * Escapes a module path for URLs and file names: every upper-case letter becomes `!` and its lower case,
 * so that file systems which ignore case keep modules apart (ref/mod#goproxy-protocol).
 *
 * @throws VmbuildError RECIPE_INVALID for what is no module path; so the result is always a safe relative path.
 */
export function escapeModulePath(path: string): string {
  if (!path.split('/').every((element) => PATH_ELEMENT.test(element) && !element.endsWith('.'))) {
    throw new VmbuildError('RECIPE_INVALID', `not a Go module path: ${JSON.stringify(path)}`);
  }
  return escapeCase(path);
}

/** The same for a version. */
export function escapeModuleVersion(version: string): string {
  if (!VERSION.test(version)) {
    throw new VmbuildError('RECIPE_INVALID', `not a Go module version: ${JSON.stringify(version)}`);
  }
  return escapeCase(version);
}

function escapeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

/** One file of a hashed listing. */
export interface HashedFile {
  readonly name: string;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
}

/**
 * dirhash.Hash1: base64 of the SHA-256 over one line `<hex>  <name>\n` per file, sorted by the bytes of the names.
 *
 * @throws TypeError for a name with a newline, which could imitate other lines.
 */
export function hash1(files: readonly HashedFile[]): string {
  const lines = files.map(({ name, sha256 }) => {
    if (name.includes('\n')) throw new TypeError(`a hashed name holds a newline: ${JSON.stringify(name)}`);
    return { key: Buffer.from(name), line: `${sha256}  ${name}\n` };
  });
  lines.sort((a, b) => Buffer.compare(a.key, b.key));
  return `h1:${hash('sha256', lines.map(({ line }) => line).join(''), 'base64')}`;
}

/** The hash of a go.mod file, as the `/go.mod` lines of go.sum have it. */
export function goModHash(content: Uint8Array): string {
  return hash1([{ name: 'go.mod', sha256: hash('sha256', content, 'hex') }]);
}

/**
 * Parses a go.sum file: `<module> <version>[/go.mod] h1:<hash>` per line. Returns one entry per module and version,
 * sorted by path, then version, by UTF-16 code units. Hashes of other kinds than h1 are refused, as we could not check them.
 *
 * @throws VmbuildError RECIPE_INVALID with the number of the line.
 */
export function parseGoSum(text: string): GoModule[] {
  const modules = new Map<string, { path: string; version: string; zip?: string; mod?: string }>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [path, versionField, sum, ...rest] = line.trim().split(/\s+/);
    const invalid = (why: string) => new VmbuildError('RECIPE_INVALID', `go.sum, line ${index + 1}: ${why}`);
    if (path === undefined || versionField === undefined || sum === undefined || rest.length > 0) {
      throw invalid('expected a module, a version and a hash');
    }
    if (!isH1(sum)) throw invalid(`not an h1: hash: ${JSON.stringify(sum)}`);
    const field = versionField.endsWith('/go.mod') ? 'mod' : 'zip';
    const version = field === 'mod' ? versionField.slice(0, -'/go.mod'.length) : versionField;
    try {
      escapeModulePath(path);
      escapeModuleVersion(version);
    } catch (error) {
      throw invalid((error as Error).message);
    }
    const key = `${path} ${version}`;
    const module = modules.get(key) ?? { path, version };
    if (module[field] !== undefined && module[field] !== sum)
      throw invalid(`a second hash for ${path} ${versionField}`);
    modules.set(key, { ...module, [field]: sum });
  }
  // No character of a path or version sorts below the space that joins them.
  return [...modules.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, module]) => module);
}
