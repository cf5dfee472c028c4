import { readFileSync } from 'node:fs';
import { sha256 } from '../model/digest.ts';
import { VmbuildError, errorMessage } from '../model/errors.ts';
import { type DebFile, openDeb, readControl, tarEntries } from './debFile.ts';
import { imagePath, isAlias, isDropped, linkDestination } from './layout.ts';
import type { LockedDeb } from './lockFile.ts';
import type { PackageEntry, UnpackedPackage } from './packageEntry.ts';
import {
  hardLinked,
  isExecutable,
  isSticky,
  notForImages,
  refuseRoot,
  symlinkTarget,
  type UnpackedFile,
} from './tarEntry.ts';
import { writeBlob } from './writeBlob.ts';

/** A package to unpack: the file, what the lock says about it, and where contents are left (prefix of file names). */
export interface UnpackJob {
  readonly deb: LockedDeb;
  readonly file: string;
  readonly blobPrefix: string;
}

/**
 * Unpacks one .deb: every file's content goes into a numbered file `<blobPrefix><n>`, never to a path that the
 * package chose, so nothing that a package holds can be written elsewhere. The digest is checked first.
 *
 * @throws VmbuildError SOURCE_MISMATCH if the file is not the locked one, IMAGE_ASSEMBLY for what an image cannot hold.
 */
export async function unpackDeb({ deb, file, blobPrefix }: UnpackJob): Promise<UnpackedPackage> {
  const bytes = readFileSync(file);
  const digest = sha256(bytes);
  if (digest !== deb.sha256) {
    throw new VmbuildError(
      'SOURCE_MISMATCH',
      `${file} is not ${deb.name} ${deb.version}: its sha256 is ${digest}, the lock says ${deb.sha256}`,
    );
  }
  try {
    const archive = openDeb(bytes);
    const control = await readControl(archive);
    checkIdentity(deb, control.get('package'), control.get('version'), control.get('architecture'));
    const entries = await unpackData(archive, blobPrefix);
    return { name: deb.name, version: deb.version, replaces: control.get('replaces') ?? '', entries };
  } catch (error) {
    // A full disk is no fault of the package.
    if (error instanceof VmbuildError || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw refused(deb, errorMessage(error), error);
  }
}

function checkIdentity(deb: LockedDeb, ...found: (string | undefined)[]): void {
  const locked = [deb.name, deb.version, deb.architecture].join(' ');
  if (found.join(' ') !== locked)
    throw refused(deb, `its control file says ${found.join(' ')}, the lock says ${locked}`);
}

async function unpackData(archive: DebFile, blobPrefix: string): Promise<PackageEntry[]> {
  const entries: PackageEntry[] = [];
  /** Files so far, by path, for hard links; a file in a dropped directory is kept while a link may need it. */
  const files = new Map<string, UnpackedFile>();
  let blobs = 0;
  for await (const entry of tarEntries(archive.data)) {
    const { header } = entry;
    const path = imagePath(header.name);
    switch (header.type) {
      case 'directory':
        entry.resume();
        if (!isDropped(path)) entries.push({ type: 'directory', path, sticky: isSticky(header) });
        break;
      case 'file':
      case 'contiguous-file': {
        const executable = isExecutable(header);
        refuseRoot(path, header.name);
        const blob = `${blobPrefix}${blobs}`;
        blobs += 1;
        await writeBlob(blob, entry, executable);
        files.set(path, { blob, executable });
        if (!isDropped(path)) entries.push({ type: 'file', path, executable, blob });
        break;
      }
      case 'link': {
        entry.resume();
        const original = hardLinked(header, files, imagePath);
        files.set(path, original);
        if (!isDropped(path)) entries.push({ type: 'file', path, ...original });
        break;
      }
      case 'symlink': {
        entry.resume();
        refuseRoot(path, header.name);
        const target = symlinkTarget(header);
        // Merging /usr turns /usr/bin/x -> /bin/x into a link to itself, and /bin -> usr/bin into one at /usr/bin.
        if (linkDestination(header.name, target) === path) break;
        if (isAlias(header.name))
          throw new TypeError(
            `${JSON.stringify(header.name)} is a link to ${JSON.stringify(target)}, where a merged /usr needs another`,
          );
        if (!isDropped(path)) entries.push({ type: 'symlink', path, target });
        break;
      }
      default:
        throw notForImages(header);
    }
  }
  return entries;
}

function refused(deb: LockedDeb, why: string, cause?: unknown): VmbuildError {
  return new VmbuildError(
    'IMAGE_ASSEMBLY',
    `the package ${deb.name} ${deb.version} cannot become part of an image: ${why}`,
    { cause },
  );
}
