import { readFile, stat } from 'node:fs/promises';
import { isDigest, sha256 } from '../../model/digest.ts';
import { isTargetName } from '../../model/names.ts';
import { exists } from '../../io/files.ts';
import { parseBindings } from '../blobs.ts';
import type { Check } from './check.ts';
import { listFolder } from './checkFolders.ts';
import { reportExtra, reportUnlessGone, unread } from './report.ts';

const ADD_AGAIN = 'Add the file again that it was taken from: vmbuild blob add <platform> <file>.';

/** Reads every vendor blob and every list of bindings; returns how many blobs there are. */
export async function checkBlobs(check: Check): Promise<number> {
  let count = 0;
  for (const name of await listFolder(check, 'blobs')) {
    check.signal.throwIfAborted();
    if (!isDigest(name)) reportExtra(check, `blobs/${name}`);
    else {
      count += 1;
      await checkBlob(check, name);
    }
  }
  for (const name of await listFolder(check, 'bindings')) {
    const platform = name.replace(/\.json$/, '');
    if (platform === name || !isTargetName(platform)) reportExtra(check, `bindings/${name}`);
    else await checkBindings(check, platform);
  }
  return count;
}

async function checkBlob(check: Check, name: string): Promise<void> {
  const path = `blobs/${name}`;
  const file = `${check.store.layout.root}/${path}`;
  const damaged = { trouble: 'damaged', what: 'blob', path } as const;
  try {
    const found = sha256(await readFile(file));
    if (found !== name) {
      const message = `has other content than its name says: ${found}`;
      await reportUnlessGone(check, { ...damaged, message, remedy: ADD_AGAIN });
    } else if (((await stat(file)).mode & 0o077) !== 0) {
      const message = 'may be read by others than its owner';
      await reportUnlessGone(check, { ...damaged, onlyModes: true, message, remedy: `chmod 600 ${file}` });
    }
  } catch (error) {
    await reportUnlessGone(check, unread('blob', path, error, ADD_AGAIN));
  }
}

async function checkBindings(check: Check, platform: string): Promise<void> {
  const path = `bindings/${platform}.json`;
  const remedy = `Remove it, and add the blobs of ${platform} again.`;
  try {
    const bindings = parseBindings(await readFile(check.store.layout.bindings(platform), 'utf8'));
    if (bindings === undefined) {
      const message = 'cannot be parsed';
      await reportUnlessGone(check, { trouble: 'damaged', what: 'binding', path, message, remedy });
    }
    for (const [slot, { parts, file }] of Object.entries(bindings ?? {})) {
      for (const { sha256: part } of Object.values(parts)) {
        if (await exists(check.store.layout.blob(part))) continue;
        const message = `(slot ${slot} of ${platform}) is not there, but ${path} names it`;
        const again = `vmbuild blob add ${platform} ${file.name}`;
        check.onFinding({ trouble: 'missing', what: 'blob', path: `blobs/${part}`, message, remedy: again });
      }
    }
  } catch (error) {
    await reportUnlessGone(check, unread('binding', path, error, remedy));
  }
}
