import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../model/errors.ts';

/** One archive and suite that apt on this machine gets packages from (sources.list(5)). */
export interface AptSource {
  /** The base URL, http or https, without a slash at its end. */
  readonly base: string;
  readonly suite: string;
  readonly components: readonly string[];
}

/**
 * Reads the apt sources of the machine whose root is `root`: etc/apt/sources.list, sources.list.d/*.list and *.sources.
 * As apt does, it ignores files with other endings. Unreadable files are left out: they are no reason to stop.
 */
export async function readAptSources(root = '/'): Promise<AptSource[]> {
  const apt = join(root, 'etc/apt');
  const folder = join(apt, 'sources.list.d');
  const names = await readdir(folder).catch(() => [] as string[]);
  const sources: AptSource[] = parseSourcesList(await readText(join(apt, 'sources.list')));
  for (const name of names.sort()) {
    if (name.endsWith('.list')) sources.push(...parseSourcesList(await readText(join(folder, name))));
    else if (name.endsWith('.sources')) sources.push(...parseDeb822Sources(await readText(join(folder, name))));
  }
  return sources;
}

/** The one-line format: `deb [option=value …] uri suite component…`. What is no `deb` line of that shape is skipped. */
export function parseSourcesList(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    const [, , uri = '', suite = '', components = ''] = match;
    return source(uri, suite, components.trim().split(/\s+/));
  });
}

/** The deb822 format: stanzas with Types, URIs, Suites, Components and perhaps `Enabled: no`. */
export function parseDeb822Sources(text: string): AptSource[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const words = (field: string): string[] => {
        const value = new RegExp(`^${field}:(.*(?:\\n[ \\t].*)*)`, 'im').exec(stanza)?.[1]?.trim() ?? '';
        return value === '' ? [] : value.split(/\s+/);
      };
      if (!words('Types').includes('deb') || /^(?:no|false|0|off|without|disable)$/i.test(words('Enabled')[0] ?? ''))
        return [];
      return words('URIs').flatMap((uri) =>
        words('Suites').flatMap((suite) => source(uri, suite, words('Components'))),
      );
    });
}

/** Only http and https can be asked by us, and a suite that ends in a slash is a flat repository without a pool. */
function source(uri: string, suite: string, components: readonly string[]): AptSource[] {
  const base = uri.replace(/\/+$/, '');
  if (!/^https?:\/\//.test(base) || !URL.canParse(base) || suite.endsWith('/')) return [];
  return [{ base, suite, components }];
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return '';
    throw error;
  }
}
