import { lockPath } from '../../build/images.ts';
import { type ProjectRoot } from '../../build/project.ts';
import { partSources } from '../../build/assembleLockedImage.ts';
import { readImageLock } from '../../images/lockFile.ts';
import { shortDigest } from '../../model/digest.ts';
import { errorMessage } from '../../model/errors.ts';
import { findImage, onlyLayer, readImageRecord, writeImageRecord } from '../../store/images.ts';
import { type Collection, collectGarbage } from '../../store/gc/collect.ts';
import type { Garbage } from '../../store/gc/garbage.ts';
import { openStore, openStoreForReading, type Store } from '../../store/openStore.ts';
import { formatBytes, formatCount, formatSpan, formatTable } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type GlobalOptions, projectRoots, storeFolder } from '../settings.ts';
import { parseSize, parseTime } from '../units.ts';
import { imageFolder, imageNames } from './image.ts';

/** Options of `vmbuild gc`. */
interface GcOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly maxSize?: string;
  readonly olderThan?: string;
  readonly outputsOnly?: boolean;
  readonly json?: boolean;
}

/** `vmbuild gc`: removes what no root keeps and no running vmbuild uses. */
export async function gcCommand(options: GcOptions): Promise<void> {
  const maxSize = options.maxSize === undefined ? undefined : parseSize('--max-size', options.maxSize);
  const olderThan = options.olderThan === undefined ? undefined : parseTime('--older-than', options.olderThan);
  const dryRun = options.dryRun === true;
  const folder = await storeFolder(options);
  const store = await (dryRun ? openStoreForReading : openStore)(folder);
  using interrupt = interruptSignal();
  const unread = dryRun ? [] : await noteImages(store, projectRoots(options));
  const outputsOnly = options.outputsOnly === true;
  const collection = await collectGarbage(store, { dryRun, maxSize, olderThan, outputsOnly, signal: interrupt.signal });
  if (options.json === true) {
    const { unknownImages, ...result } = collection;
    process.stdout.write(`${JSON.stringify({ dryRun, ...result, maxSize, unknownImages }, null, 2)}\n`);
    return;
  }
  print(collection, { dryRun, maxSize });
  for (const problem of unread) process.stdout.write(`note: ${problem}\n`);
}

function print(
  { collected, freed, size, unknownImages }: Collection,
  { dryRun, maxSize }: { dryRun: boolean; maxSize: number | undefined },
): void {
  const out = (text: string): void => void process.stdout.write(text);
  out(formatTable(collected.map(row)));
  const would = dryRun ? 'would be ' : '';
  out(`${formatCount(collected.length, 'thing')} ${would}removed, ${formatBytes(freed)} ${would}freed\n`);
  if (size !== undefined && maxSize !== undefined && size > maxSize) {
    out(
      `the store ${dryRun ? 'would still take' : 'still takes'} ${formatBytes(size)}: roots, running builds or their age keep the rest\n`,
    );
  }
  for (const image of unknownImages) {
    out(
      `note: all sources that are files are kept, because nobody has noted what the image ${shortDigest(image)} was made of\n`,
    );
  }
}

function row({ kind, name, size, usedAt }: Garbage): string[] {
  const shown = kind === 'failed' || kind === 'quarantine' ? name : name.slice(0, 12);
  return [kind, shown, formatBytes(size), `unused for ${formatSpan(Date.now() - usedAt)}`];
}

/**
 * Notes what images were made of that were assembled before vmbuild did so, from the locks that are at hand. Returns what
 * is wrong with locks, which is not what this is about.
 */
async function noteImages(store: Store, roots: readonly ProjectRoot[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const root of roots) {
    for (const name of await imageNames([root])) {
      try {
        await noteImage(store, await imageFolder([root], name));
      } catch (error) {
        problems.push(errorMessage(error));
      }
    }
  }
  return problems;
}

async function noteImage(store: Store, folder: string): Promise<void> {
  const lock = await readImageLock(lockPath(folder));
  const { image } = lock;
  const stored = await findImage(store, image.digest);
  if (stored === undefined || (await readImageRecord(store, image.digest)) !== undefined) return;
  const rootfs = onlyLayer(stored.config);
  if (rootfs === undefined) return;
  await writeImageRecord(store, image.digest, { rootfs, sources: partSources(lock).map(({ digest }) => digest) });
}
