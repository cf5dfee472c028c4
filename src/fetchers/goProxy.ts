import { copyFile, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchBytes } from '../io/http.ts';
import { redactUrl } from '../io/httpError.ts';
import { download } from '../io/httpDownload.ts';
import { run } from '../io/process.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { failedRecently, noteFailure, noteSuccess } from './failedHosts.ts';
import { NO_GO_PROXY } from './failure.ts';
import type { FetchContext, FetchSettings, Unusable } from './fetcher.ts';
import { hostOf, httpOptions } from './https.ts';

/** The proxies of a GOPROXY list in order, http(s) or file URLs without a slash at the end, and what cannot be used of it. */
export interface GoProxies {
  readonly urls: readonly string[];
  readonly unusable: readonly Unusable[];
}

/** The most bytes of a module's zip, packed and unpacked, and of a go.mod: the limits of golang.org/x/mod/zip. */
export const MAX_ZIP = 500 * 1024 * 1024;
const MAX_GO_MOD = 16 * 1024 * 1024;

/**
 * The module proxies: the setting, else GOPROXY of the environment, of go's own settings file, or what a go command
 * on this machine says.
 */
export async function goProxies(settings: FetchSettings): Promise<GoProxies> {
  const list = await knownGoProxy(settings);
  if (list === undefined) {
    return { urls: [], unusable: [{ where: NO_GO_PROXY, reason: 'no Go module proxy is known on this machine' }] };
  }
  const { urls, unusable } = parseGoProxy(list);
  const usable = settings.offline ? urls.filter(isFile) : urls;
  const skipped = urls.filter((url) => !usable.includes(url));
  return {
    urls: usable,
    unusable: [...unusable, ...skipped.map((url) => ({ where: redactUrl(url), reason: 'not tried: offline' }))],
  };
}

/** The GOPROXY list that this machine is set up with, or undefined if nothing on it says one. */
export async function knownGoProxy(settings: FetchSettings): Promise<string | undefined> {
  return settings.goProxy || process.env.GOPROXY || (await proxyOfGoEnvFile()) || (await proxyOfGoCommand());
}

/**
 * Splits a GOPROXY list (https://go.dev/ref/mod#environment-variables). Commas and bars mean the same to us: every
 * module is checked against its h1 hash, so any proxy's word is as good as another's.
 */
export function parseGoProxy(list: string): GoProxies {
  const urls: string[] = [];
  const unusable: Unusable[] = [];
  for (const item of list.split(/[,|]/).map((text) => text.trim())) {
    if (item === '') continue;
    if (item === 'off') break; // what stands behind it is not to be asked
    if (item === 'direct') {
      unusable.push({ where: 'GOPROXY=direct', reason: 'repositories are not fetched, only module proxies' });
    } else if (/^(?:https?|file):\/\//.test(item) && URL.canParse(item)) urls.push(item.replace(/\/+$/, ''));
    else unusable.push({ where: `GOPROXY entry`, reason: `not an http, https or file URL: ${redactUrl(item)}` });
  }
  if (urls.length === 0) unusable.push({ where: NO_GO_PROXY, reason: 'it names no proxy that can be used' });
  return { urls, unusable };
}

/** A go.mod file, or any other small answer of a proxy. */
export function getSmall(proxy: string, path: string, context: FetchContext): Promise<Uint8Array> {
  const url = `${proxy}/${path}`;
  return isFile(url) ? readFile(fileURLToPath(url)) : fetchBytes(url, { ...httpOptions(context), limit: MAX_GO_MOD });
}

/** A zip, into the file `to`. `onProgress` gets the bytes so far. */
export async function getZip(
  url: string,
  to: string,
  context: FetchContext,
  onProgress: (received: number, total: number | undefined) => void,
): Promise<void> {
  if (isFile(url)) await copyFile(fileURLToPath(url), to);
  else await download(url, to, { ...httpOptions(context), maxSize: MAX_ZIP, onProgress });
}

/**
 * Runs `use` with one proxy after the other until it succeeds; those that failed lately come last.
 *
 * @throws VmbuildError SOURCE_MISMATCH or SOURCE_UNAVAILABLE that lists every proxy; the signal's reason; a full or
 * read-only disk at once.
 */
export async function tryProxies<T>(
  proxies: GoProxies,
  what: string,
  context: FetchContext,
  use: (proxy: string) => Promise<T>,
): Promise<T> {
  const reasons: string[] = [];
  let mismatch = false;
  const late = (url: string) => (failedRecently(hostOf(url)) ? 1 : 0);
  for (const proxy of proxies.urls.toSorted((a, b) => late(a) - late(b))) {
    try {
      const result = await use(proxy);
      noteSuccess(hostOf(proxy));
      return result;
    } catch (error) {
      context.signal.throwIfAborted();
      if (['ENOSPC', 'EDQUOT', 'EROFS'].includes(systemErrorCode(error) ?? '')) throw error;
      const status = (error as { status?: number }).status;
      if (!isFile(proxy) && status !== 404 && status !== 410) noteFailure(hostOf(proxy));
      mismatch ||= error instanceof VmbuildError && error.code === 'SOURCE_MISMATCH';
      reasons.push(`${redactUrl(proxy)}: ${errorMessage(error)}`);
    }
  }
  throw new VmbuildError(mismatch ? 'SOURCE_MISMATCH' : 'SOURCE_UNAVAILABLE', `${what}: ${reasons.join('; ')}`);
}

/** The error for a hash that is not the one of go.sum. */
export function h1Mismatch(what: string, expected: string, found: string): VmbuildError {
  return new VmbuildError('SOURCE_MISMATCH', `${what}: expected ${expected}, found ${found}`);
}

function isFile(url: string): boolean {
  return url.startsWith('file:');
}

/** `go env -w` writes GOENV, by default go/env in the user's configuration folder. */
async function proxyOfGoEnvFile(): Promise<string | undefined> {
  const { GOENV, XDG_CONFIG_HOME } = process.env;
  if (GOENV === 'off') return undefined;
  const path = GOENV || join(XDG_CONFIG_HOME || join(homedir(), '.config'), 'go', 'env');
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^GOPROXY=(.+)$/m.exec(text)?.[1]?.trim();
}

async function proxyOfGoCommand(): Promise<string | undefined> {
  const result = await run('go', ['env', 'GOPROXY'], { cwd: '/' }).catch(() => undefined);
  return result?.exitCode === 0 ? result.stdout.trim() || undefined : undefined;
}
