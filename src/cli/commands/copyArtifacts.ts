import { cp, mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RealisedStep } from '../../build/realised.ts';
import { writeFileAtomic } from '../../io/files.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { filesOf } from '../../model/realisation.ts';

const SUMS = 'SHA256SUMS';

/**
 * Copies the artifacts of targets into a folder, and writes SHA256SUMS for their top-level files there (the
 * format of sha256sum(1), so that `sha256sum -c` checks it). Returns the folder's absolute path.
 */
export async function copyArtifacts(results: readonly RealisedStep[], folder: string): Promise<string> {
  const destination = resolve(folder);
  const owners = new Map<string, string>();
  const lines: string[] = [];
  for (const { step, statement, path } of results) {
    for (const name of await readdir(path)) {
      const other = owners.get(name);
      if (other !== undefined) {
        throw new VmbuildError('USAGE', `${other} and ${step.target} both have ${name}; copy them one at a time`);
      }
      if (name === SUMS) throw new VmbuildError('USAGE', `${step.target} has a ${SUMS} of its own: ${path}/${SUMS}`);
      owners.set(name, step.target);
    }
    for (const { name, digest } of filesOf(statement)) lines.push(sumLine(digest.sha256, name));
  }
  try {
    await mkdir(destination, { recursive: true });
    for (const { path } of results) {
      await cp(path, destination, { recursive: true, verbatimSymlinks: true, force: true });
    }
    await writeFileAtomic(join(destination, SUMS), lines.sort().join(''));
  } catch (error) {
    const full = ['ENOSPC', 'EDQUOT'].includes(systemErrorCode(error) ?? '');
    throw new VmbuildError(full ? 'DISK_FULL' : 'USAGE', `cannot copy to ${destination}: ${errorMessage(error)}`, {
      cause: error,
      hints: ['Choose another folder with -o, or remove what is in the way. The artifacts are in the store.'],
    });
  }
  return destination;
}

/** sha256sum(1) escapes backslash and line ends, and marks such lines with a backslash. */
function sumLine(digest: string, name: string): string {
  const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `${escaped === name ? '' : '\\'}${digest}  ${escaped}\n`;
}
