import { open } from 'node:fs/promises';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import { formatBytes } from './format.ts';

/** More than any flash chip has; whoever names a disk image by mistake should not wait for it to be read. */
const LARGEST = 256 * 1024 * 1024;

/**
 * Reads a file that has to do with a flash chip.
 *
 * @param refused makes the error for a file that is there and cannot be one.
 * @throws VmbuildError USAGE if it cannot be read.
 */
export async function readFlashFile(path: string, refused: (message: string) => VmbuildError): Promise<Buffer> {
  try {
    await using file = await open(path);
    const stat = await file.stat();
    if (stat.isDirectory()) throw refused(`${path} is a folder`);
    if (stat.size > LARGEST) throw refused(`${path} has ${formatBytes(stat.size)}, more than any flash chip`);
    return await file.readFile();
  } catch (error) {
    if (error instanceof VmbuildError) throw error;
    throw new VmbuildError('USAGE', `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
