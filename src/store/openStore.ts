import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, isWritable, removeTree, writeFileAtomic } from '../io/files.ts';
import { isOwnerAlive, ownerPrefix } from '../io/owner.ts';
import { explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { STORE_FORMAT, type StoreLayout, storeLayout } from './layout.ts';

/** An open store; the functions of this folder take it as their first argument. */
export interface Store {
  readonly layout: StoreLayout;
}

/**
 * Opens the store in `root`, makes it if there is none, and removes what processes that are gone left in tmp/.
 *
 * @throws VmbuildError STORE_UNUSABLE if it cannot be written, or is of a newer or unknown format.
 */
export async function openStore(root: string): Promise<Store> {
  const layout = storeLayout(root);
  try {
    await mkdir(layout.temporary, { recursive: true });
    await checkFormat(layout);
    if (!(await isWritable(layout.temporary))) throw Object.assign(new Error('not writable'), { code: 'EACCES' });
    await sweep(layout.temporary);
  } catch (error) {
    throw explainSystemError(error, `opening the store ${root}`);
  }
  return { layout };
}

async function checkFormat(layout: StoreLayout): Promise<void> {
  let text: string;
  try {
    text = await readFile(layout.format, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    // Never adopt a folder that holds somebody's data under the names that a store uses.
    if (await exists(join(layout.root, 'artifacts'))) {
      throw unusable(layout, 'has artifacts but no file `format`; it is damaged, or no store of vmbuild');
    }
    await writeFileAtomic(layout.format, `${STORE_FORMAT}\n`);
    return;
  }
  const format = /^\d+\n?$/.test(text) ? Number.parseInt(text, 10) : undefined;
  if (format === undefined) throw unusable(layout, `says format ${JSON.stringify(text.slice(0, 20))}`);
  if (format > STORE_FORMAT)
    throw unusable(layout, `has format ${format}, newer than this vmbuild (${STORE_FORMAT}) knows`);
}

/** A process marks its folders in tmp/ with who it is; those of the dead are rubbish. */
async function sweep(temporary: string): Promise<void> {
  for (const name of await readdir(temporary)) {
    if (!isOwnerAlive(name)) await removeTree(join(temporary, name));
  }
}

/** Prefix of a scratch folder of this process in tmp/. */
export function scratchPrefix(): string {
  return ownerPrefix();
}

function unusable(layout: StoreLayout, problem: string): VmbuildError {
  return new VmbuildError('STORE_UNUSABLE', `the store ${layout.root} ${problem}`, {
    hints: ['Use a newer vmbuild, or another store: VMBUILD_STORE=<folder>.'],
  });
}
