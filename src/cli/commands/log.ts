import { pipeline } from 'node:stream/promises';
import { type Digest, isDigest } from '../../model/digest.ts';
import { explainSystemError, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { readLog } from '../../store/logs.ts';
import { readTargetRecord } from '../../store/realisations.ts';
import { openStoreForReading, type Store } from '../../store/openStore.ts';
import { PrintableLines } from '../printableLines.ts';
import { type GlobalOptions, storeFolder } from '../settings.ts';

/** `vmbuild log`: the log of a target's last run, whether it failed or not, or of a build key. */
export async function logCommand(target: string, options: GlobalOptions): Promise<void> {
  const store = await openStoreForReading(await storeFolder(options));
  const buildKey = isDigest(target) ? target : (await readTargetRecord(store, target))?.last.buildKey;
  if (buildKey === undefined || !(await print(store, buildKey))) {
    throw new VmbuildError('RECIPE_NOT_FOUND', `${target} has no log in ${store.layout.root}: it was never run there`, {
      hints: [`vmbuild realize ${target}`],
    });
  }
}

async function print(store: Store, buildKey: Digest): Promise<boolean> {
  try {
    // Byte for byte for programs; but what a build prints must not reach a terminal that would obey it.
    if (!process.stdout.isTTY) return await readLog(store, buildKey, process.stdout);
    const lines = new PrintableLines();
    const printed = pipeline(lines, process.stdout, { end: false });
    const found = await readLog(store, buildKey, lines);
    lines.end();
    await printed;
    return found;
  } catch (error) {
    // Whoever reads has seen enough.
    if (systemErrorCode(error) === 'EPIPE') return true;
    throw explainSystemError(error, 'printing a log');
  }
}
