import { type ReleaseFile, releaseFiles, type Stanza } from '../formats/deb822.ts';
import { sha256 } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import { compressionOf, decompressAll } from './decompress.ts';
import { verifyInRelease } from './inRelease.ts';
import type { PackagesContents, PackagesDescription } from './lockFile.ts';
import { PackageIndex } from './packageIndex.ts';
import { resolvePackages } from './resolve.ts';

/** What resolving an image may use. */
export interface ResolveImageOptions {
  /** Base URLs of mirrors of one Debian archive, best first: what `dists/` and `pool/` are appended to. */
  readonly mirrors: readonly string[];
  /** Downloads a small file of at most `limit` bytes whole, with whatever retries it likes. */
  readonly download: (url: string, limit: number) => Promise<Uint8Array>;
  /** An existing folder for temporary files. */
  readonly scratch: string;
  readonly signal?: AbortSignal | undefined;
  /** Path of the keyring; by default that of the Debian package debian-archive-keyring. */
  readonly keyring?: string | undefined;
  /** Now, for Valid-Until. */
  readonly now?: Date | undefined;
  /** Told when a mirror fails and the next is tried. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

const ARCHITECTURE = 'amd64';
const INRELEASE_LIMIT = 8 * 1024 * 1024;
const INDEX_LIMIT = 256 * 1024 * 1024;

/**
 * Resolves the packages that an image wants against a Debian archive: verifies the signed InRelease, takes the
 * package indices that it names, and resolves dependencies in them. All files come from one mirror, so that they fit.
 *
 * @throws VmbuildError SIGNATURE_INVALID, SOURCE_UNAVAILABLE (all mirrors failed), SOURCE_MISMATCH (an index
 * is not the signed one), IMAGE_RESOLVE.
 */
export async function resolveImage(
  description: PackagesDescription,
  options: ResolveImageOptions,
): Promise<PackagesContents> {
  const failures: unknown[] = [];
  for (const mirror of options.mirrors) {
    options.signal?.throwIfAborted();
    let fetched: Awaited<ReturnType<typeof fetchIndex>>;
    try {
      fetched = await fetchIndex(mirror.replace(/\/+$/, ''), description, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      failures.push(error);
      options.onRetry?.(`${hostOf(mirror)}: ${errorMessage(error)}`);
      continue;
    }
    return resolveIn(description, fetched);
  }
  // What a mirror sent and was refused says more than that another could not be reached.
  const telling = failures.find((failure) => failure instanceof VmbuildError);
  if (telling !== undefined) throw telling;
  throw new VmbuildError(
    'SOURCE_UNAVAILABLE',
    failures.length === 0
      ? 'no mirror of the Debian archive is known'
      : `no mirror gave the package index of ${description.suite}: ${failures.map(errorMessage).join('; ')}`,
    { cause: failures[0], hints: ['Name an archive that this machine can reach in the configuration: debianMirrors.'] },
  );
}

interface FetchedIndex {
  readonly index: PackagesContents['index'];
  readonly texts: readonly string[];
}

async function fetchIndex(
  mirror: string,
  description: PackagesDescription,
  options: ResolveImageOptions,
): Promise<FetchedIndex> {
  const suite = `${mirror}/dists/${description.suite}`;
  const inRelease = await options.download(`${suite}/InRelease`, INRELEASE_LIMIT);
  const release = await verifyInRelease(inRelease, options);
  const date = checkRelease(release, description, options.now ?? new Date());
  const files = releaseFiles(release);
  const byHash = release.get('acquire-by-hash') === 'yes';
  const packages: PackagesContents['index']['packages'][number][] = [];
  const texts: string[] = [];
  for (const component of [...description.components].sort()) {
    const candidates = ['xz', 'gz'].map((suffix) => `${component}/binary-${ARCHITECTURE}/Packages.${suffix}`);
    const path = candidates.find((candidate) => files.has(candidate));
    const file = path === undefined ? undefined : files.get(path);
    if (path === undefined || file === undefined) {
      throw new VmbuildError(
        'IMAGE_RESOLVE',
        `${description.suite} has no index of the component ${component} for ${ARCHITECTURE}`,
      );
    }
    const bytes = await downloadIndex(suite, path, file, byHash, options);
    const digest = sha256(bytes);
    if (digest !== file.sha256) {
      throw new VmbuildError(
        'SOURCE_MISMATCH',
        `${path} of ${description.suite} has the sha256 ${digest}, the signed InRelease says ${file.sha256}`,
        {
          hints: ['The mirror may be in the middle of an update: try again in a few minutes, or use another.'],
        },
      );
    }
    packages.push({ component, path, sha256: digest });
    const text = await decompressAll(bytes, compressionOf(path) ?? 'none');
    texts.push(text.toString());
  }
  const stamp = date.toISOString().replace(/\.\d+Z$/, 'Z');
  const snapshot = stamp.replaceAll(/[:-]/g, '');
  return { index: { inRelease: { sha256: sha256(inRelease), date: stamp }, snapshot, packages }, texts };
}

/** That the signed file is the one that was asked for, and not out of date. Returns its Date. */
function checkRelease(release: Stanza, { suite, components }: PackagesDescription, now: Date): Date {
  const refuse = (why: string): never => {
    throw new VmbuildError('SIGNATURE_INVALID', `the InRelease of ${suite} is signed but not usable: ${why}`);
  };
  const names = [release.get('codename'), release.get('suite')];
  // A mirror could answer with another, equally signed suite.
  if (!names.includes(suite)) refuse(`it is that of ${names.filter(Boolean).join(' or ') || 'no suite'}`);
  const architectures = release.get('architectures')?.split(/\s+/) ?? [];
  if (!architectures.includes(ARCHITECTURE)) refuse(`it has no ${ARCHITECTURE}`);
  const offered = (release.get('components') ?? '').split(/\s+/);
  const absent = components.filter((component) => !offered.includes(component));
  if (absent.length > 0) refuse(`it has no component ${absent.join(', ')}`);
  const date = new Date(release.get('date') ?? '');
  if (Number.isNaN(date.getTime())) refuse('it has no valid Date');
  const validUntil = release.get('valid-until');
  if (validUntil !== undefined && !(new Date(validUntil).getTime() > now.getTime()))
    refuse(`it was valid until ${validUntil}`);
  return date;
}

function resolveIn(description: PackagesDescription, { index, texts }: FetchedIndex): PackagesContents {
  try {
    const chosen = resolvePackages(description.packages, new PackageIndex(texts));
    return {
      suite: description.suite,
      components: [...description.components].sort(),
      packages: [...description.packages].sort(),
      architecture: ARCHITECTURE,
      index,
      debs: chosen.map((one) => one.package.locked()),
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = `the package index of ${description.suite} cannot be read: ${error.message}`;
    throw new VmbuildError('IMAGE_RESOLVE', message, { cause: error });
  }
}

/** By its hash, which never changes under a reader; some mirrors and proxies only have the plain name. */
async function downloadIndex(
  suite: string,
  path: string,
  file: ReleaseFile,
  byHash: boolean,
  { download, signal }: ResolveImageOptions,
): Promise<Uint8Array> {
  const limit = Math.min(file.size, INDEX_LIMIT);
  if (byHash) {
    try {
      return await download(`${suite}/${path.slice(0, path.lastIndexOf('/'))}/by-hash/SHA256/${file.sha256}`, limit);
    } catch {
      signal?.throwIfAborted();
    }
  }
  return download(`${suite}/${path}`, limit);
}

function hostOf(mirror: string): string {
  return URL.canParse(mirror) ? new URL(mirror).host : 'a mirror';
}
