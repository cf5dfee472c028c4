import {
  chmodSync,
  copyFileSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { temporaryFolder } from '../../io/files.ts';
import { ownerPrefix } from '../../io/owner.ts';
import type { StoredImage } from '../../store/images.ts';
import { COPIES_PREFIX } from './copyInputs.ts';
import { memoryFolderFor } from './machine.ts';

/** Images copied into memory, where their folders list the names in another order; until they are disposed of. */
export class ImageCopies implements AsyncDisposable {
  /** By digest. */
  readonly #copies = new Map<string, Promise<StoredImage | undefined>>();
  readonly #folders: AsyncDisposable[] = [];

  /** A copy of the image, the same for everybody; undefined if there is no tmpfs with room for it. */
  copyOf(image: StoredImage): Promise<StoredImage | undefined> {
    let copy = this.#copies.get(image.digest);
    if (copy === undefined) {
      copy = this.#make(image);
      copy.catch(() => {}); // whoever waits for it is told
      this.#copies.set(image.digest, copy);
    }
    return copy;
  }

  async #make(image: StoredImage): Promise<StoredImage | undefined> {
    const memory = await memoryFolderFor(sizeOf(image.rootfs));
    if (memory === undefined) return undefined;
    const folder = await temporaryFolder(memory, `${COPIES_PREFIX}${ownerPrefix()}`);
    this.#folders.push(folder);
    const rootfs = join(folder.path, 'rootfs');
    await copyReversed(image.rootfs, rootfs);
    return { ...image, rootfs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#copies.values());
    for (const folder of this.#folders) await folder[Symbol.asyncDispose]();
  }
}

/** Bytes of all files below a folder. */
function sizeOf(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

/**
 * Copies a tree with its modes and times, the last name of each folder first. Without waiting for each of thousands of small
 * files, which would take several times as long; others get their turn after each folder.
 */
async function copyReversed(from: string, to: string): Promise<void> {
  const stat = lstatSync(from);
  if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else if (!stat.isDirectory()) copyFileSync(from, to);
  else {
    mkdirSync(to);
    for (const name of readdirSync(from).sort().reverse()) await copyReversed(join(from, name), join(to, name));
    chmodSync(to, stat.mode & 0o777);
    await setImmediate();
  }
  lutimesSync(to, stat.mtimeMs / 1000, stat.mtimeMs / 1000);
}
