import { readFile } from 'node:fs/promises';
import { knownGoProxy } from '../fetchers/goProxy.ts';
import type { FetchSettings } from '../fetchers/fetcher.ts';
import { openDeb, tarEntries } from '../images/debFile.ts';
import { toDigest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Source } from '../model/source.ts';

/** Debian's package of Go; only its `go.env` is read, which holds the settings that Go ships with. */
const GO_PACKAGE: Source = {
  kind: 'file',
  digest: toDigest('93c6c109bbc0f1d55523282a16739d10634499c04f6d066a6aa58b67b687a44f'),
  name: 'golang-1.24-go_1.24.4-1_amd64.deb',
  size: 28672232,
  locations: [
    {
      type: 'debian',
      path: 'pool/main/g/golang-1.24/golang-1.24-go_1.24.4-1_amd64.deb',
      snapshot: '20251001T000000Z',
    },
  ],
};
const GO_ENV = 'usr/lib/go-1.24/go.env';

/** True if fetching this source asks a Go module proxy. */
export function needsGoProxy(source: Source): boolean {
  return source.locations.some(({ type }) => type === 'gomod' || type === 'gotoolchain');
}

/**
 * The fetch settings with a Go module proxy in them. A machine without Go and without GOPROXY gets the default that
 * the Go project ships, taken from Debian's package of Go: no proxy is written into vmbuild.
 */
export async function withGoProxy(
  settings: FetchSettings,
  fetchPackage: (deb: Source) => Promise<string>,
): Promise<FetchSettings> {
  if (settings.offline || (await knownGoProxy(settings)) !== undefined) return settings;
  const goProxy = /^GOPROXY=(\S+)$/m.exec(await readGoEnv(await fetchPackage(GO_PACKAGE)))?.[1];
  if (goProxy === undefined) throw new VmbuildError('INTERNAL', `${GO_PACKAGE.name} has no GOPROXY in its go.env`);
  return { ...settings, goProxy };
}

async function readGoEnv(deb: string): Promise<string> {
  for await (const entry of tarEntries(openDeb(await readFile(deb)).data)) {
    if (entry.header.name.replace(/^\.\//, '') !== GO_ENV) {
      entry.resume();
      continue;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }
  throw new VmbuildError('INTERNAL', `${GO_PACKAGE.name} has no ${GO_ENV}`);
}
