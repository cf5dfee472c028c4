import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, type ZstdOptions } from 'node:zlib';
import { exists } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { Store } from './openStore.ts';

/** Bytes of a log that is compressed in one go. */
const SMALL = 64 * 1024;

/** With a checksum, which zstd leaves out by default: so a bit that turns over is noticed. */
const CHECKED: ZstdOptions = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

/** Compresses a finished plain log (on the store's file system) into the store, replacing the previous one of this build key. */
export async function storeLog(store: Store, buildKey: Digest, plain: string): Promise<void> {
  const compressed = `${plain}.zst`;
  // Streams cost more than the compression of the few lines that most steps print.
  if (statSync(plain).size <= SMALL) writeFileSync(compressed, zstdCompressSync(readFileSync(plain), CHECKED));
  else await pipeline(createReadStream(plain), createZstdCompress(CHECKED), createWriteStream(compressed));
  const path = store.layout.log(buildKey);
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
