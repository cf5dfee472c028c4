import { fetchBytes } from '../io/http.ts';
import { redactUrl } from '../io/httpError.ts';
import type { ProxyChoice } from '../io/httpAgents.ts';
import { run } from '../io/process.ts';
import { errorMessage } from '../model/errors.ts';
import { type AptSource, readAptSources } from './aptSources.ts';
import type { FetchContext, FetchSettings, Unusable } from './fetcher.ts';

/** Mirrors that may be used, best first, as base URLs without a slash at the end; and those that cannot, with the reason. */
export interface DebianMirrors {
  readonly mirrors: readonly string[];
  readonly unusable: readonly Unusable[];
}

type Probe = Pick<FetchContext, 'settings' | 'signal' | 'http'>;

const known = new Map<string, Promise<DebianMirrors>>();
const proxies = new Map<string, Promise<AptProxies>>();

/**
 * Base URLs of mirrors of the Debian archive: the machine's apt mirrors that say they are one, then the
 * configured ones. Empty when offline.
 */
export async function debianMirrors(
  settings: FetchSettings,
  signal: AbortSignal = new AbortController().signal,
): Promise<string[]> {
  return [...(await findDebianMirrors({ settings, signal })).mirrors];
}

/**
 * The same with reasons. The apt mirrors are asked once per process: one request of 4 KiB for each base URL, which
 * shows whether it is Debian's own archive (another distribution's pool, or that of Debian's security
 * archive, has other files).
 */
export async function findDebianMirrors(context: Probe): Promise<DebianMirrors> {
  const { settings } = context;
  if (settings.offline) return { mirrors: [], unusable: [] };
  const key = settings.aptRoot ?? '/';
  let found = known.get(key);
  if (found === undefined) {
    found = probeAptMirrors(context);
    known.set(key, found);
    // An aborted or failed look must not decide for the rest of the process.
    found.catch(() => known.delete(key));
  }
  const apt = await found;
  const configured = settings.debianMirrors.map((base) => base.replace(/\/+$/, ''));
  return { mirrors: [...new Set([...apt.mirrors, ...configured])], unusable: apt.unusable };
}

async function probeAptMirrors(context: Probe): Promise<DebianMirrors> {
  const sources = await readAptSources(context.settings.aptRoot);
  const suites = Map.groupBy(
    sources.filter(({ components }) => components.includes('main')),
    ({ base }) => base,
  );
  const answers = await Promise.all([...suites].map(([base, of]) => probe(base, of, context)));
  const mirrors = answers.filter((answer) => typeof answer === 'string');
  const unusable = answers.filter((answer) => typeof answer === 'object');
  // Strangers in apt's list are only worth a word if there is nobody else.
  const foreign = mirrors.length === 0 ? unusable : unusable.filter(({ foreign }) => !foreign);
  return { mirrors, unusable: foreign.map(({ foreign, ...rest }) => ({ ...rest, mirror: !foreign })) };
}

async function probe(
  base: string,
  sources: readonly AptSource[],
  context: Probe,
): Promise<string | (Unusable & { foreign: boolean })> {
  // The plain suite first: `-updates` and `-backports` share its pool, `-security` does not.
  const suite = sources.map((source) => source.suite).sort((a, b) => a.length - b.length)[0] ?? '';
  const url = `${base}/dists/${suite}/InRelease`;
  const where = redactUrl(base);
  try {
    const proxy = await aptProxy(url, context.settings);
    const options = { tries: 2, ...context.http, signal: context.signal, proxy, limit: 4096, start: true };
    const text = (await fetchBytes(url, options)).toString('latin1');
    const field = (name: string) => new RegExp(`^${name}: *(.*?)\\r?$`, 'm').exec(text)?.[1] ?? 'unknown';
    const [origin, label] = [field('Origin'), field('Label')];
    if (origin === 'Debian' && (label === 'Debian' || label === 'Debian Backports')) return base;
    return { where, reason: `is not the Debian archive (Origin ${origin}, Label ${label})`, foreign: true };
  } catch (error) {
    context.signal.throwIfAborted();
    return { where, reason: `its InRelease cannot be read: ${errorMessage(error)}`, foreign: false };
  }
}

/** Proxies of apt.conf(5): by `http`/`https`, or by that and a host. The value is a URL or `DIRECT`. */
export type AptProxies = ReadonlyMap<string, string>;

/** The proxy that apt would use for `url`; undefined if apt says nothing, so that the environment decides. */
export async function aptProxy(url: string, settings: FetchSettings): Promise<ProxyChoice> {
  const root = settings.aptRoot ?? '/';
  let found = proxies.get(root);
  if (found === undefined) {
    found = run('apt-config', ['-o', `Dir=${root}`, 'dump']).then(
      ({ exitCode, stdout }) => parseAptProxies(exitCode === 0 ? stdout : ''),
      () => parseAptProxies(''), // no apt on this machine
    );
    proxies.set(root, found);
  }
  return chooseAptProxy(url, await found);
}

/** Picks `Acquire::http::Proxy "…";` and `Acquire::http::Proxy::host "…";` out of `apt-config dump`. */
export function parseAptProxies(dump: string): AptProxies {
  const entries = dump.matchAll(/^Acquire::(https?)::Proxy(?:::([^\s"]+))? "(.*)";$/gim);
  return new Map([...entries].map(([, method, host = '', value = '']) => [`${method} ${host}`.toLowerCase(), value]));
}

/** The host's own entry before the general one, https's before http's (apt-transport-https(1)). */
export function chooseAptProxy(url: string, proxies: AptProxies): ProxyChoice {
  const { protocol, hostname } = new URL(url);
  const methods = protocol === 'https:' ? ['https', 'http'] : ['http'];
  for (const host of [hostname, '']) {
    for (const method of methods) {
      const value = proxies.get(`${method} ${host}`);
      if (value === undefined || value === '') continue;
      if (value.toUpperCase() === 'DIRECT') return 'direct';
      return /^https?:\/\//.test(value) ? value : undefined; // socks5h:// and the like are not spoken
    }
  }
  return undefined;
}
