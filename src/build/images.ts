import { join } from 'node:path';
import { VmbuildError } from '../model/errors.ts';
import { exists } from '../io/files.ts';
import { checkLockMatches, readImageDescription, readImageLock } from '../images/lockFile.ts';
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

/** Finds images by their locks, each read once. Nothing is assembled. */
export function createImageCatalog(roots: readonly ProjectRoot[]): ImageCatalog {
  const images = new Map<string, Promise<LockedImage>>();
  return (name, usedBy) => {
    let image = images.get(name);
    if (image === undefined) images.set(name, (image = readLockedImage(roots, name, usedBy)));
    return image;
  };
}

async function readLockedImage(roots: readonly ProjectRoot[], name: string, usedBy: string): Promise<LockedImage> {
  const folder = await findImageFolder(roots, name);
  if (folder === undefined) {
    const where = roots.map((root) => root.images).join(', ');
    throw new VmbuildError('RECIPE_INVALID', `${usedBy}: there is no image ${JSON.stringify(name)} in ${where}`);
  }
  const lock = await readImageLock(lockPath(folder));
  checkLockMatches(await readImageDescription(descriptionPath(folder)), lock, lockPath(folder));
  return { name, folder, digest: lock.image.digest };
}
