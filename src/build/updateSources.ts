import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fetchAnew } from '../fetchers/fetchSource.ts';
import { temporaryFolder, writeFileAtomic } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { scratchPrefix } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import { needsGoProxy, withGoProxy } from './goDefault.ts';
import { createProvisioner, type ProvisionOptions } from './provision.ts';
import { transfer } from './transfer.ts';

/** What a source's locations give today. */
export interface SourceUpdate {
  readonly mount: string;
  readonly name: string;
  readonly from: Digest;
  readonly to: Digest;
  /** Bytes, where the recipe states them. */
  readonly size: { readonly from: number; readonly to: number } | undefined;
}

/** Fetches every source of a step from its locations, whatever its digest, and says what each of them gave. */
export async function resolveSources(step: Step, options: ProvisionOptions): Promise<readonly SourceUpdate[]> {
  await using provisioner = createProvisioner(options);
  const updates: SourceUpdate[] = [];
  for (const [mount, source] of Object.entries(step.sources)) {
    if (source.blob !== undefined) continue; // nobody can fetch it
    const settings = needsGoProxy(source) ? await withGoProxy(options.fetch, provisioner.package) : options.fetch;
    await using scratch = await temporaryFolder(options.store.layout.temporary, scratchPrefix());
    const { digest, path } = await transfer(options, 'source', source.name, source.digest, (onProgress) =>
      fetchAnew(source, {
        settings,
        scratch: scratch.path,
        signal: options.signal,
        onProgress,
        onRetry: (message) => options.emit({ type: 'transfer-retried', name: source.name, message }),
      }),
    );
    const size = source.size === undefined ? undefined : { from: source.size, to: (await stat(path)).size };
    updates.push({ mount, name: source.name, from: source.digest, to: digest, size });
  }
  return updates;
}

/**
 * Puts changed digests and sizes where the recipe has them: into recipe.ts, or into a module that several recipes share.
 * A value is its own mark: the old one must stand there exactly once.
 *
 * @throws VmbuildError RECIPE_INVALID if it does not; nothing has been written then.
 */
export async function writeSourceDigests(recipeFile: string, updates: readonly SourceUpdate[]): Promise<void> {
  const modules = await readModules(recipeFile);
  const changed = new Map<string, string>();
  for (const { mount, from, to, size } of updates) {
    if (from === to) continue;
    const textOf = (file: string): string => changed.get(file) ?? modules.get(file) ?? '';
    const replace = (what: string, files: readonly string[], pattern: RegExp, old: string, next: string): string => {
      const counts = files.map((file) => textOf(file).match(pattern)?.length ?? 0);
      const count = counts.reduce((sum, one) => sum + one, 0);
      const file = files[counts.indexOf(1)];
      if (count !== 1 || file === undefined) {
        throw new VmbuildError(
          'RECIPE_INVALID',
          `${recipeFile}: sources.${mount}: the ${what} ${old} stands there ${count} times, not once`,
          { hints: [`Put the new one in by hand: ${next}`] },
        );
      }
      changed.set(file, textOf(file).replace(pattern, next));
      return file;
    };
    const file = replace('digest', [...modules.keys()], new RegExp(from, 'g'), from, to);
    if (size === undefined || size.from === size.to) continue;
    // TypeScript allows 1_000 for 1000.
    const digits = String(size.from).split('').join('_?');
    replace('size', [file], new RegExp(`\\b${digits}\\b`, 'g'), String(size.from), String(size.to));
  }
  for (const [file, text] of changed) await writeFileAtomic(file, text);
}

/** The text of a recipe and of the modules of its project that it imports, by path. */
async function readModules(recipeFile: string): Promise<ReadonlyMap<string, string>> {
  const modules = new Map<string, string>();
  const read = async (file: string): Promise<void> => {
    if (modules.has(file)) return;
    const text = await readFile(file, 'utf8');
    modules.set(file, text);
    for (const [, path = ''] of text.matchAll(/\bfrom '(\.\.?\/[^']+)'/g)) await read(join(dirname(file), path));
  };
  await read(recipeFile);
  return modules;
}
