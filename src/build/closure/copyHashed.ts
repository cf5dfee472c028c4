import { constants, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Digest, sha256Stream } from '../../model/digest.ts';
import { systemErrorCode } from '../../model/errors.ts';

/** Copies a file and gives its digest; undefined if there is no file. Links are not followed. */
export async function copyHashed(from: string, to: string, signal: AbortSignal): Promise<Digest | undefined> {
  await using file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      if (['ENOENT', 'ELOOP', 'ENXIO'].includes(systemErrorCode(error) ?? ''))
        return { [Symbol.asyncDispose]: () => Promise.resolve() };
      throw error;
    },
  );
  if (!('stat' in file) || !(await file.stat()).isFile()) return undefined;
  const hash = sha256Stream();
  const part = `${to}.part`;
  await pipeline(
    file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(part, { flags: 'wx' }),
    { signal },
  );
  await rename(part, to);
  return hash.digest();
}
