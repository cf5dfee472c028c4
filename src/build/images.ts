import { join } from 'node:path';
import { VmbuildError } from '../model/errors.ts';
import { exists } from '../io/files.ts';
import { checkLockMatches, readImageDescription, readLockSeal } from '../images/lockFile.ts';
import type { ImageCatalog, LockedImage } from './evaluate.ts';
import type { ProjectRoot } from './project.ts';

/** Path of an image's lock. */
export function lockPath(folder: string): string {
  return join(folder, 'lock.json');
}

/** Path of what a person wants in an image. */
export function descriptionPath(folder: string): string {
  return join(folder, 'image.json');
}

/** The folder of the image `name` in the first root that has it. */
export async function findImageFolder(roots: readonly ProjectRoot[], name: string): Promise<string | undefined> {
  for (const root of roots) {
    const folder = join(root.images, name);
    if (await exists(descriptionPath(folder))) return folder;
  }
  return undefined;
}

/**
 * Finds images by their locks, each looked for and read once; nothing is assembled. A recipe gets the image of its own root if that
 * has one of this name, so another root's cannot slip in under vmbuild's own recipes.
 */
export function createImageCatalog(roots: readonly ProjectRoot[]): ImageCatalog {
  const images = new Map<string, Promise<LockedImage>>();
  const folders = new Map<ProjectRoot | undefined, Map<string, string>>();
  const folderOf = async (name: string, usedBy: string, own: ProjectRoot | undefined): Promise<string> => {
    const known = folders.get(own) ?? new Map<string, string>();
    folders.set(own, known);
    let folder = known.get(name);
    if (folder !== undefined) return folder;
    const order = own === undefined ? roots : [own, ...roots.filter((root) => root !== own)];
    folder = await findImageFolder(order, name);
    if (folder === undefined) {
      const where = roots.map((root) => root.images).join(', ');
      throw new VmbuildError('RECIPE_INVALID', `${usedBy}: there is no image ${JSON.stringify(name)} in ${where}`);
    }
    known.set(name, folder);
    return folder;
  };
  return async (name, usedBy, own) => {
    const folder = await folderOf(name, usedBy, own);
    let image = images.get(folder);
    if (image === undefined) images.set(folder, (image = readLockedImage(name, folder)));
    return image;
  };
}

async function readLockedImage(name: string, folder: string): Promise<LockedImage> {
  const lock = await readLockSeal(lockPath(folder));
  checkLockMatches(await readImageDescription(descriptionPath(folder)), lock, lockPath(folder));
  return { name, folder, digest: lock.image.digest };
}
