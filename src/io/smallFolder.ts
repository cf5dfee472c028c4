import { lstatSync, opendirSync } from 'node:fs';

/** Up to here it costs less to deal with a folder at once than to hand it to a thread or a process. */
const SMALL = { entries: 64, bytes: 1024 * 1024 };

/** True if a folder holds so little that it can be dealt with at once. Looks at no more than it must to know that. */
export function isSmallFolder(root: string): boolean {
  let entries = 0;
  let bytes = 0;
  const pending = [root];
  try {
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      using folder = opendirSync(path);
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        const child = `${path}/${entry.name}`;
        if (entry.isDirectory()) pending.push(child);
        else bytes += lstatSync(child).size;
        entries += 1;
        if (entries > SMALL.entries || bytes > SMALL.bytes) return false;
      }
    }
    return true;
  } catch {
    return false; // a folder without rights, a strange name: whoever reads it thoroughly finds out
  }
}
