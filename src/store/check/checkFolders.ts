import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ownerState } from '../../io/owner.ts';
import { isDigest } from '../../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { STORE_FOLDERS } from '../layout.ts';
import type { Check } from './check.ts';
import { reportExtra, reportLeftover, reportUnlessGone } from './report.ts';

/** What may stand in a store's folder beside its own: the default store has a README, a disk of its own lost+found. */
const TOLERATED: readonly string[] = ['.gitignore', 'CACHEDIR.TAG', 'README.md', 'lost+found'];

/** Entries of a folder of the store by name, sorted; none if there is no such folder. */
export async function listFolder({ store }: Pick<Check, 'store'>, folder: string): Promise<readonly string[]> {
  const path = join(store.layout.root, folder);
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new VmbuildError('STORE_UNUSABLE', `${path} cannot be listed: ${errorMessage(error)}`, { cause: error });
  }
}

/** Looks for what does not belong into a store, in its own folder and in those of running processes. */
export async function checkFolders(check: Check): Promise<void> {
  for (const name of await listFolder(check, '.')) {
    if (name === 'format' || TOLERATED.includes(name) || (STORE_FOLDERS as readonly string[]).includes(name)) continue;
    // What is left if the making of a store was cut off.
    if (/^\.format\..*\.tmp$/.test(name)) reportLeftover(check, name);
    else reportExtra(check, name);
  }
  for (const folder of ['tmp', 'running']) {
    for (const name of await listFolder(check, folder)) {
      const state = ownerState(name);
      if (state === 'ended' || state === 'before-boot') reportLeftover(check, `${folder}/${name}`);
      else if (state === 'unmarked') reportExtra(check, `${folder}/${name}`);
    }
  }
  for (const name of await listFolder(check, 'locks')) await checkLock(check, name);
  for (const name of await listFolder(check, 'collected')) {
    if (!isDigest(name)) reportExtra(check, `collected/${name}`);
  }
}

/** Locks are empty files: SQLite refuses to lock what is neither empty nor a database. */
async function checkLock(check: Check, name: string): Promise<void> {
  const path = `locks/${name}`;
  if (!/^(gc|(build|source|image)-[0-9a-f]{64})$/.test(name)) return reportExtra(check, path);
  const stat = await lstat(join(check.store.layout.root, path)).catch(() => undefined);
  if (stat === undefined || (stat.isFile() && stat.size === 0)) return;
  await reportUnlessGone(check, {
    trouble: 'damaged',
    what: 'lock',
    path,
    message: 'is no empty file, so nobody can lock it',
    remedy: 'Remove it while no vmbuild runs.',
  });
}
