import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { type HashedFile, hash1 } from '../formats/goModule.ts';
import { listZip, type RandomAccess, readZipEntry, ZipError } from '../formats/zipReader.ts';
import { MAX_ZIP } from './goProxy.ts';

/** After how many bytes other work gets a turn: reading is synchronous, because per file it is many times as fast. */
const SLICE = 4 * 1024 * 1024;

/**
 * Reads a module zip entry by entry, sorted by the bytes of the names, and returns its h1 hash, which the caller
 * must compare before anything of it is used.
 *
 * @param prefix What every name must begin with: `<module>@<version>/`.
 * @param visit Gets each name without the prefix, and the content.
 * @throws ZipError for a damaged or hostile archive; what `visit` throws; the signal's reason.
 */
export async function visitModuleZip(
  path: string,
  options: { readonly prefix: string; readonly signal: AbortSignal },
  visit: (name: string, data: Uint8Array) => void,
): Promise<string> {
  const fd = openSync(path, 'r');
  try {
    const archive = randomAccess(fd);
    const entries = listZip(archive, { totalSize: MAX_ZIP }).map((entry) => ({ entry, key: Buffer.from(entry.name) }));
    entries.sort((a, b) => Buffer.compare(a.key, b.key));
    const files: HashedFile[] = [];
    let slice = 0;
    for (const { entry } of entries) {
      const name = entry.name.slice(options.prefix.length);
      if (!entry.name.startsWith(options.prefix) || name === '') {
        throw new ZipError(`${JSON.stringify(entry.name)} is not below ${JSON.stringify(options.prefix)}`);
      }
      const data = readZipEntry(archive, entry);
      files.push({ name: entry.name, sha256: hash('sha256', data, 'hex') });
      visit(name, data);
      slice += data.length + 4096;
      if (slice < SLICE) continue;
      slice = 0;
      await breathe();
      options.signal.throwIfAborted();
    }
    return hash1(files);
  } finally {
    closeSync(fd);
  }
}

function randomAccess(fd: number): RandomAccess {
  return {
    size: fstatSync(fd).size,
    read: (offset, length) => {
      const buffer = Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const count = readSync(fd, buffer, done, length - done, offset + done);
        if (count === 0) throw new ZipError('the zip became shorter while it was read');
        done += count;
      }
      return buffer;
    },
  };
}
