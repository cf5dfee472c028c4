import { closeSync, openSync, writevSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import PQueue from 'p-queue';
import { escapeModulePath, escapeModuleVersion, goModHash } from '../formats/goModule.ts';
import { ZipWriter } from '../formats/zipWriter.ts';
import { VmbuildError } from '../model/errors.ts';
import type { GoModule, GoModulesLocation } from '../model/source.ts';
import type { FetchContext, Locate } from './fetcher.ts';
import { type GoProxies, getSmall, getZip, goProxies, h1Mismatch, tryProxies } from './goProxy.ts';
import { redactUrl } from '../io/httpError.ts';
import { visitModuleZip } from './zipFile.ts';

const PARALLEL = 8;

/**
 * Every module of a go.sum as a tree in the file layout of a module proxy, which the go command takes offline as
 * GOPROXY=file://<tree>. The tree depends on the modules' content alone: proxies may pack zips and
 * write `.info` as they like, so zips are packed anew and `.info` holds the version only.
 */
export const locateGoModules: Locate<GoModulesLocation> = async (_source, location, context) => {
  refuseUncheckable(location.modules);
  const proxies = await goProxies(context.settings);
  if (proxies.urls.length === 0) return proxies.unusable;
  const where = `${location.modules.length} Go modules from ${proxies.urls.map(redactUrl).join(', ')}`;
  const fetch = async (path: string) => {
    await fetchModules(location.modules, path, proxies, context);
    return undefined;
  };
  return [{ where, fetch }, ...proxies.unusable];
};

/** Without a go.mod hash, whatever a proxy says would become part of the tree. */
function refuseUncheckable(modules: readonly GoModule[]): void {
  const seen = new Set<string>();
  for (const { path, version, mod } of modules) {
    const name = `${escapeModulePath(path)}@${escapeModuleVersion(version)}`;
    if (mod === undefined)
      throw new VmbuildError('RECIPE_INVALID', `${path} ${version}: no hash of its go.mod; run go mod tidy`);
    if (seen.has(name)) throw new VmbuildError('RECIPE_INVALID', `${path} ${version} is listed twice`);
    seen.add(name);
  }
}

async function fetchModules(
  modules: readonly GoModule[],
  root: string,
  proxies: GoProxies,
  context: FetchContext,
): Promise<void> {
  // The first failure stops the others; they are waited for, so that nothing is written after the end.
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const progress = new SharedProgress(context.onProgress);
  const queue = new PQueue({ concurrency: PARALLEL });
  let failed: { error: unknown } | undefined;
  for (const module of modules) {
    void queue.add(async () => {
      try {
        signal.throwIfAborted();
        await fetchModule(module, root, proxies, { ...context, signal, onProgress: progress.part() });
      } catch (error) {
        failed ??= { error };
        stop.abort();
      }
    });
  }
  await queue.onIdle();
  context.signal.throwIfAborted();
  if (failed !== undefined) throw failed.error;
  await writeLists(modules, root);
}

async function fetchModule(module: GoModule, root: string, proxies: GoProxies, context: FetchContext): Promise<void> {
  const { path, version, zip, mod = '' } = module;
  const name = `${escapeModulePath(path)}/@v/${escapeModuleVersion(version)}`;
  const target = join(root, name);
  await mkdir(dirname(target), { recursive: true });

  const goMod = await tryProxies(proxies, `${path} ${version}`, context, async (proxy) => {
    const bytes = await getSmall(proxy, `${name}.mod`, context);
    const found = goModHash(bytes);
    if (found !== mod) throw h1Mismatch('go.mod', mod, found);
    return bytes;
  });
  await writeFile(`${target}.mod`, goMod, { flag: 'wx', mode: 0o644 });
  await writeFile(`${target}.info`, JSON.stringify({ Version: version }), { flag: 'wx', mode: 0o644 });
  if (zip === undefined) return;

  await tryProxies(proxies, `${path} ${version}`, context, async (proxy) => {
    const original = `${target}.zip.original`;
    try {
      await getZip(`${proxy}/${name}.zip`, original, context, context.onProgress);
      const found = await repack(original, `${target}.zip`, `${path}@${version}/`, context.signal);
      if (found !== zip) throw h1Mismatch('zip', zip, found);
    } catch (error) {
      await rm(`${target}.zip`, { force: true });
      throw error;
    } finally {
      await rm(original, { force: true });
    }
  });
}

/** Writes the canonical form of a module zip and returns its h1 hash. */
async function repack(from: string, to: string, prefix: string, signal: AbortSignal): Promise<string> {
  const writer = new ZipWriter();
  const fd = openSync(to, 'wx', 0o644);
  try {
    const h1 = await visitModuleZip(from, { prefix, signal }, (name, data) => {
      writeAll(fd, writer.add(prefix + name, data));
    });
    writeAll(fd, writer.end());
    return h1;
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, pieces: readonly Uint8Array[]): void {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const written = writevSync(fd, pieces);
  // Files take all of it or fail; the disk ran full in between if not.
  if (written !== length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
}

/** `@v/list`: the versions that are there, one a line (go sorts them itself). */
async function writeLists(modules: readonly GoModule[], root: string): Promise<void> {
  for (const [path, versions] of Map.groupBy(modules, (module) => module.path)) {
    const lines = versions.map(({ version }) => `${version}\n`).sort();
    await writeFile(join(root, escapeModulePath(path), '@v', 'list'), lines.join(''), { flag: 'wx', mode: 0o644 });
  }
}

/** Adds up what parallel transfers have received. */
class SharedProgress {
  private sum = 0;
  private readonly report: FetchContext['onProgress'];

  constructor(report: FetchContext['onProgress']) {
    this.report = report;
  }

  /** The callback for one transfer. A transfer that begins again counts from where it is. */
  part(): FetchContext['onProgress'] {
    let before = 0;
    return (received) => {
      this.sum += received - before;
      before = received;
      this.report(this.sum, undefined);
    };
  }
}
