import { mkdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Executor, MountedContent } from '../executors/executor.ts';
import { temporaryFolder } from '../io/files.ts';
import { inspectTree } from '../io/inspectTree.ts';
import {
  BUILD_PLATFORM,
  buildKey,
  type BuildKeyDocument,
  DEFAULT_SOURCE_DATE_EPOCH,
  SANDBOX_VERSION,
} from '../model/buildKey.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import type { Limits } from '../model/limits.ts';
import type { StoredImage } from '../store/images.ts';
import { scratchPrefix, type Store } from '../store/openStore.ts';
import { howItEnded } from './howItEnded.ts';
import { openStepLog } from './stepLog.ts';

/** The image that it runs in, in `docker/`. */
export const DIFFOSCOPE_IMAGE = 'diffoscope';

/** A comparison may meet anything, and nobody waits for it longer than this. */
const LIMITS: Limits = { wall: 600, log: 16 * 1024 * 1024, output: 512 * 1024 * 1024 };

/** Two files of a format that vmbuild has no reader for. */
export interface UnknownPair {
  /** For people: `rootfs.squashfs`, `initramfs → usr/share/x.zip`. */
  readonly name: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** What diffoscope left, or why there is nothing. */
export type DiffoscopeOutcome =
  | { readonly kind: 'compared'; readonly text: string; readonly html: string; readonly excerpt: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** Paths of the reports on a verification of a build key, or on any two artifacts by a digest that stands for both. */
function reportPaths(
  { layout }: Pick<Store, 'layout'>,
  about: Digest,
): { readonly text: string; readonly html: string } {
  return { text: join(layout.verifications, `${about}.txt`), html: join(layout.verifications, `${about}.html`) };
}

/**
 * Compares files with diffoscope (https://diffoscope.org) in the sandbox of a build step: what it reads may be hostile, and it
 * starts many a program. Its reports are put with the logs of verifications.
 */
export async function runDiffoscope(
  pairs: readonly UnknownPair[],
  about: Digest,
  {
    image,
    digest,
    executor,
    store,
    signal,
  }: {
    readonly image: StoredImage;
    readonly digest: Digest;
    readonly executor: Executor;
    readonly store: Store;
    readonly signal: AbortSignal;
  },
): Promise<DiffoscopeOutcome> {
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const at = (...names: string[]): string => join(scratch.path, ...names);
  for (const name of ['sandbox', 'recipe', 'before', 'after']) mkdirSync(at(name), { mode: 0o755 });
  for (const [index, { name, before, after }] of pairs.entries()) {
    // Their place alone tells them apart; the rest of the name shows what they are.
    const file = `${index + 1}-${basename(name).replace(/[^A-Za-z0-9._+-]/g, '_')}`;
    await writeFile(at('before', file), before, { mode: 0o644 });
    await writeFile(at('after', file), after, { mode: 0o644 });
  }
  const tree = async (name: string): Promise<MountedContent> => {
    const { digest: content } = await inspectTree(at(name));
    return { kind: 'tree', digest: content, path: at(name) };
  };
  const inputs = { before: await tree('before'), after: await tree('after') };
  const document: BuildKeyDocument = {
    format: 1,
    platform: BUILD_PLATFORM,
    sandbox: SANDBOX_VERSION,
    image: digest,
    command: [
      'diffoscope',
      '--no-progress',
      '--text',
      '/out/report.txt',
      '--html',
      '/out/report.html',
      '/in/before',
      '/in/after',
    ],
    // There is no ld.so.cache in an image, by which Python would find it.
    env: { LIBARCHIVE: 'libarchive.so.13' },
    recipe: (await tree('recipe')).digest,
    sourceDateEpoch: DEFAULT_SOURCE_DATE_EPOCH,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, { kind, digest: content }]) => [name, { kind, digest: content }]),
    ),
  };
  using log = openStepLog(at('log'), () => {});
  const failed = (reason: string): DiffoscopeOutcome => ({
    kind: 'failed',
    reason: [reason, ...log.tail()].join('\n'),
  });
  try {
    const result = await executor.run({
      name: 'diffoscope',
      buildKey: buildKey(document),
      document,
      image,
      recipe: at('recipe'),
      inputs,
      scratch: at('sandbox'),
      conditions: { cores: 1, limits: LIMITS },
      output: log.stream,
      signal,
    });
    // 1: there are differences (diffoscope(1), EXIT STATUS).
    if (result.exitCode !== 1) return failed(howItEnded(result));
    const paths = reportPaths(store, about);
    await mkdir(store.layout.verifications, { recursive: true });
    await copyFile(at('sandbox', 'out', 'report.txt'), paths.text);
    await copyFile(at('sandbox', 'out', 'report.html'), paths.html);
    const lines = (await readFile(paths.text, 'utf8')).split('\n');
    return { kind: 'compared', ...paths, excerpt: lines.slice(0, 30) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof VmbuildError)) throw error;
    return failed(errorMessage(error));
  }
}
