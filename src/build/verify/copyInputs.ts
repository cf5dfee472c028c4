import { chmod, copyFile, lstat, mkdir, readdir, readlink, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountedContent } from '../../executors/executor.ts';
import { temporaryFolder } from '../../io/files.ts';
import { ownerPrefix } from '../../io/owner.ts';
import type { Variations } from '../../model/variations.ts';
import type { InputCopies } from './axis.ts';

/** Inputs as a step is to see them, until they are disposed of. */
export interface CopiedInputs extends AsyncDisposable {
  readonly contents: Readonly<Record<string, MountedContent>>;
  /** What an executor has to know about them. */
  readonly variations: Pick<Variations, 'copiesIn'>;
}

/** 2001-09-09; the times of copies go up from here, a second for each. */
const FIRST_TIME = 1_000_000_000;

/** Names of folders of copies begin with this, and go on with ownerPrefix(). */
export const COPIES_PREFIX = 'vmbuild-verify.';

/** Copies inputs where they are to look different; the content stays what it is. What is in the store is not touched. */
export async function copyInputs(
  contents: Readonly<Record<string, MountedContent>>,
  copies: InputCopies | undefined,
  scratch: string,
  memoryFolder: string | undefined,
): Promise<CopiedInputs> {
  if (copies === undefined || Object.keys(contents).length === 0)
    return { contents, variations: {}, [Symbol.asyncDispose]: async () => {} };
  const folder =
    copies.reordered === true && memoryFolder !== undefined
      ? await temporaryFolder(memoryFolder, `${COPIES_PREFIX}${ownerPrefix()}`)
      : await temporaryFolder(scratch, 'inputs-');
  const copied: Record<string, MountedContent> = {};
  let count = 0;
  const nextTime = (): number | undefined => (copies.times === true ? FIRST_TIME + (count += 1) : undefined);
  try {
    for (const [mount, content] of Object.entries(contents)) {
      const path = join(folder.path, mount);
      await copy(content.path, path, nextTime);
      copied[mount] = { ...content, path };
    }
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
  return {
    contents: copied,
    variations: { copiesIn: folder.path },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** The last name first: a tmpfs lists what came last at the beginning, and other file systems by the hash of the name. */
async function copy(from: string, to: string, nextTime: () => number | undefined): Promise<void> {
  const stat = await lstat(from);
  if (stat.isSymbolicLink()) return symlink(await readlink(from), to);
  if (stat.isDirectory()) {
    await mkdir(to);
    await chmod(to, stat.mode & 0o777); // whatever our umask is
    const names = (await readdir(from)).sort().reverse();
    for (const name of names) await copy(join(from, name), join(to, name), nextTime);
  } else {
    await copyFile(from, to);
  }
  const time = nextTime();
  await utimes(to, time ?? stat.mtimeMs / 1000, time ?? stat.mtimeMs / 1000);
}
