import { closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { type TarSink, TarReader } from '../formats/tarReader.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';

/** Unpacks a canonical tar as it comes. */
export interface TreeUnpacker extends Disposable {
  /** @throws TypeError for what is no canonical tar, or more than was allowed; a system error. */
  readonly write: (chunk: Uint8Array) => void;
  /** Ends the archive. @returns the digest of all that was written. */
  readonly end: () => Digest;
}

/**
 * Unpacks a canonical tar into `folder`, which does not exist yet. Synchronous on purpose: it is many times as fast.
 * Whoever gave the archive is not trusted: it is refused at the first byte that a canonical tar cannot have, and nothing
 * is ever written through a link, because paths lie in directories that were made here.
 *
 * @param limit the most bytes that the archive may have.
 */
export function unpackTree(folder: string, limit: number): TreeUnpacker {
  const hash = sha256Stream();
  let length = 0;
  let file: number | undefined;
  const close = (): void => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  const sink: TarSink = {
    entry: ({ path, type, mode, target }) => {
      close();
      const place = path === '' ? folder : `${folder}/${path}`;
      if (type === 'directory') mkdirSync(place, mode);
      else if (type === 'symlink') symlinkSync(target as string, place);
      else file = openSync(place, 'wx', mode);
    },
    content: (bytes) => {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(file as number, bytes, offset);
    },
  };
  const reader = new TarReader(sink);
  return {
    write: (chunk) => {
      length += chunk.length;
      if (length > limit) throw new TypeError(`the archive is longer than ${limit} bytes`);
      hash.update(chunk);
      reader.write(chunk);
    },
    end: () => {
      reader.end();
      close();
      return hash.digest();
    },
    [Symbol.dispose]: close,
  };
}
