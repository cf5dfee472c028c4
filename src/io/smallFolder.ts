import { lstatSync, opendirSync } from 'node:fs';

/** Up to here it costs less to deal with a folder at once than to hand it to a thread or a process. */
const SMALL = { entries: 64, bytes: 1024 * 1024 };

/** Paths of all that is in a folder. */
interface SmallFolder {
  readonly files: readonly string[];
  /** Each after the one that it lies in; the first is the folder itself. */
  readonly folders: readonly string[];
}

/** True if a folder holds so little that it can be dealt with at once. */
export function isSmallFolder(root: string): boolean {
  return readSmallFolder(root) !== undefined;
}

/** What a folder holds if that is so little that it can be dealt with at once. Looks at no more than it must to know that. */
export function readSmallFolder(root: string): SmallFolder | undefined {
  const files: string[] = [];
  const folders: string[] = [];
  let entries = 0;
  let bytes = 0;
  const pending = [root];
  try {
    // opendir(3) follows a link, and what lies behind it is not ours: whoever removes the link must not remove that.
    if (!lstatSync(root).isDirectory()) return undefined;
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      folders.push(path);
      using folder = opendirSync(path);
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        const child = `${path}/${entry.name}`;
        if (entry.isDirectory()) pending.push(child);
        else {
          files.push(child);
          bytes += lstatSync(child).size;
        }
        entries += 1;
        if (entries > SMALL.entries || bytes > SMALL.bytes) return undefined;
      }
    }
    return { files, folders };
  } catch {
    return undefined; // a folder without rights, a strange name: whoever reads it thoroughly finds out
  }
}
