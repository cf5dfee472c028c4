import type { TarStreamEntry } from './debFile.ts';

// What packages and layers have in common: both are tars whose contents go to numbered files first.

/** A file of an archive, by the file that holds its content now. */
export interface UnpackedFile {
  readonly blob: string;
  readonly executable: boolean;
}

type Header = TarStreamEntry['header'];

/** True if anyone may execute it. */
export function isExecutable({ mode }: Header): boolean {
  return ((mode ?? 0) & 0o111) !== 0;
}

/** True for a directory that is world-writable with the sticky bit. */
export function isSticky({ mode }: Header): boolean {
  return ((mode ?? 0) & 0o1777) === 0o1777;
}

/**
 * The earlier file of the same archive that a hard link means; `toPath` turns names into the keys of `files`.
 *
 * @throws TypeError if there is none.
 */
export function hardLinked(
  { name, linkname }: Header,
  files: ReadonlyMap<string, UnpackedFile>,
  toPath: (name: string) => string,
): UnpackedFile {
  const original = files.get(toPath(linkname ?? ''));
  if (original !== undefined) return original;
  throw new TypeError(
    `${JSON.stringify(name)} is a hard link to ${JSON.stringify(linkname)}, which is no earlier file of it`,
  );
}

/** The target of a symbolic link. @throws TypeError if it is empty, has a NUL, or is not UTF-8. */
export function symlinkTarget({ name, linkname }: Header): string {
  const target = linkname ?? '';
  if (target !== '' && !/[\0\uFFFD]/.test(target)) return target;
  throw new TypeError(`${JSON.stringify(name)} is a link with the target ${JSON.stringify(target)}`);
}

/** @throws TypeError if something other than a directory would be the root. */
export function refuseRoot(path: string, name: string): void {
  if (path === '') throw new TypeError(`${JSON.stringify(name)} takes the place of the root directory`);
}

/** The error for devices, pipes and the like. */
export function notForImages({ name, type }: Header): TypeError {
  return new TypeError(`${JSON.stringify(name)} is a ${type ?? 'special file'}, which an image cannot hold`);
}
