import { createReadStream, createWriteStream, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, type ZstdOptions } from 'node:zlib';
import { exists, writeFileUnflushed } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { stagingPath, type Store } from './openStore.ts';

/** Bytes of a log that is compressed in one go. */
const SMALL = 64 * 1024;

/** With a checksum, which zstd leaves out by default: so a bit that turns over is noticed. */
const CHECKED: ZstdOptions = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

/**
 * Compresses a finished plain log into the store, replacing the previous one of this build key.
 *
 * @param plain its path on the store's file system, or what it holds.
 */
export async function storeLog(store: Store, buildKey: Digest, plain: string | Uint8Array): Promise<void> {
  const path = store.layout.log(buildKey);
  // Streams cost more than the compression of the few lines that most steps print.
  const small = typeof plain !== 'string' ? plain : statSync(plain).size <= SMALL ? readFileSync(plain) : undefined;
  if (small !== undefined) {
    await writeFileUnflushed(path, zstdCompressSync(small, CHECKED), stagingPath(store));
    return;
  }
  const compressed = `${plain as string}.zst`;
  await pipeline(createReadStream(plain as string), createZstdCompress(CHECKED), createWriteStream(compressed));
  mkdirSync(dirname(path), { recursive: true });
  renameSync(compressed, path);
}

/** Writes the log of the last run of a build key to `to`, which is not ended; false if there is none. */
export async function readLog(store: Store, buildKey: Digest, to: NodeJS.WritableStream): Promise<boolean> {
  const path = store.layout.log(buildKey);
  if (!(await exists(path))) return false;
  try {
    await pipeline(createReadStream(path), createZstdDecompress(), to, { end: false });
  } catch (error) {
    if (!/^(Z|ZSTD)_/.test(systemErrorCode(error) ?? '')) throw error;
    throw new VmbuildError('STORE_DAMAGED', `the log ${path} ends in the middle: ${errorMessage(error)}`, {
      cause: error,
      hints: ['What could be read was printed. The next run of the step writes it anew.'],
    });
  }
  return true;
}
