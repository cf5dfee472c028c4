import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isH1 } from '../formats/goModule.ts';
import { redactUrl } from '../io/httpError.ts';
import { removeTree } from '../io/files.ts';
import { VmbuildError } from '../model/errors.ts';
import type { GoToolchainLocation } from '../model/source.ts';
import type { FetchContext, Locate } from './fetcher.ts';
import { type GoProxies, getZip, goProxies, h1Mismatch, tryProxies } from './goProxy.ts';
import { visitModuleZip } from './zipFile.ts';

const MODULE = 'golang.org/toolchain';

/**
 * The Go toolchain for linux/amd64, from the module that the go command itself gets other versions from
 * (https://go.dev/doc/toolchain#download), unpacked to a complete GOROOT.
 */
export const locateGoToolchain: Locate<GoToolchainLocation> = async (source, location, context) => {
  if (!/^go\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?$/.test(location.version) || !isH1(location.h1)) {
    throw new VmbuildError(
      'RECIPE_INVALID',
      `${source.name}: not a Go version and its h1 hash: ${location.version} ${location.h1}`,
    );
  }
  const proxies = await goProxies(context.settings);
  if (proxies.urls.length === 0) return proxies.unusable;
  const where = `${location.version} from ${proxies.urls.map(redactUrl).join(', ')}`;
  const fetch = async (path: string) => {
    await fetchToolchain(location, path, proxies, context);
    return undefined;
  };
  return [{ where, fetch }, ...proxies.unusable];
};

async function fetchToolchain(
  location: GoToolchainLocation,
  root: string,
  proxies: GoProxies,
  context: FetchContext,
): Promise<void> {
  const version = `v0.0.1-${location.version}.linux-amd64`;
  await tryProxies(proxies, location.version, context, async (proxy) => {
    await using zip = { path: `${root}.zip`, [Symbol.asyncDispose]: () => removeTree(`${root}.zip`) };
    try {
      await getZip(`${proxy}/${MODULE}/@v/${version}.zip`, zip.path, context, context.onProgress);
      const found = await unpack(zip.path, root, `${MODULE}@${version}/`, context.signal);
      if (found !== location.h1) throw h1Mismatch(version, location.h1, found);
    } catch (error) {
      await removeTree(root);
      throw error;
    }
  });
}

/** Unpacks the whole toolchain and returns the h1 hash of its zip. */
async function unpack(zip: string, root: string, prefix: string, signal: AbortSignal): Promise<string> {
  const folders = new Set<string>();
  return visitModuleZip(zip, { prefix, signal }, (name, data) => {
    if (name.endsWith('/')) return;
    // A module cannot hold another module, so the zip has every go.mod as _go.mod; the go command renames them
    // as well when it switches to a downloaded toolchain.
    const path = join(root, name.replace(/(^|\/)_go\.mod$/, '$1go.mod'));
    const folder = dirname(path);
    if (!folders.has(folder)) {
      mkdirSync(folder, { recursive: true });
      folders.add(folder);
    }
    writeFileSync(path, data, { flag: 'wx', mode: isProgram(data) ? 0o755 : 0o644 });
  });
}

/** Module zips carry no modes. Scripts and ELF files can be run; nothing else in a Go release needs to be. */
function isProgram(data: Uint8Array): boolean {
  const [a, b, c, d] = data;
  return (a === 0x23 && b === 0x21) || (a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46);
}
