import { join } from 'node:path';
import type { Step } from '../build/evaluate.ts';
import type { Project } from '../build/project.ts';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { filesOf, type Realisation } from '../model/realisation.ts';
import { readFlashFile } from './readFlashFile.ts';

/** The masked digest of a flash image's artifact, and of which file it is. */
export interface MaskedRom {
  readonly file: string;
  readonly masked: Digest;
}

/**
 * What of an image people can compare who have other vendor blobs, or none; undefined for an artifact that has nothing to do with blobs.
 *
 * @param folder the artifact in the store.
 */
export async function maskedRom(
  { target, lacks, takes }: Step,
  statement: Realisation,
  folder: string,
  project: Project,
): Promise<MaskedRom | undefined> {
  if (Object.keys(lacks).length + Object.keys(takes).length === 0) return undefined;
  const platform = (await project.locate(target)).platform?.name;
  const file = filesOf(statement).find(({ name }) => name.endsWith('.rom'))?.name;
  if (platform === undefined || file === undefined) return undefined;
  const slots = (await project.platform(platform)).blobs ?? {};
  const image = await readFlashFile(join(folder, file), (message) => new VmbuildError('STORE_DAMAGED', message));
  // Loaded here: most targets are no flash images.
  const { maskedDigest } = await import('../firmware/masked.ts');
  return { file, masked: maskedDigest(image, slots) };
}

/** Both digests of an image belong together: the whole one stands above this line. */
export function maskedText(rom: MaskedRom | undefined): string {
  return rom === undefined
    ? ''
    : `  masked digest of ${rom.file}, without vendor blobs and what the machine writes:\n    ${rom.masked}\n`;
}
