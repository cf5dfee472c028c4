import { mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../io/files.ts';
import { HttpError } from '../io/httpError.ts';
import { inspectTree } from '../io/inspectTree.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { Location, Source } from '../model/source.ts';
import { locateDebian } from './debian.ts';
import { failedRecently, noteFailure, noteSuccess } from './failedHosts.ts';
import { type Failure, unavailable } from './failure.ts';
import type { Candidate, FetchContext, Unusable } from './fetcher.ts';
import { locateGoModules } from './goModules.ts';
import { locateGoToolchain } from './goToolchain.ts';
import { locateHttps } from './https.ts';
import { locateInFolders, locateLocal } from './localFiles.ts';
import { locateOci } from './ociBlob.ts';
import { locateInMirrors } from './sourceMirrors.ts';

/** What each kind of location yields; a mismatch is a mistake in the recipe. */
const KINDS: Readonly<Record<Location['type'], readonly Source['kind'][]>> = {
  debian: ['file'],
  https: ['file'],
  oci: ['file'],
  local: ['file', 'tree'],
  gomod: ['tree'],
  gotoolchain: ['tree'],
};

/**
 * Gets a source and returns the path of the verified file or folder, inside `context.scratch`, which otherwise is as
 * it was. The source folders are asked first, then the caches, then the locations in order; a host that failed
 * lately comes last. Wrong content from one place is thrown away and the next is asked.
 *
 * @throws VmbuildError SOURCE_UNAVAILABLE, SOURCE_MISMATCH (something came, but never the right bytes) or PACKAGE_GONE
 * with every place and its reason; DISK_FULL; RECIPE_INVALID for a location that cannot give such a source.
 */
export async function fetchSource(source: Source, context: FetchContext): Promise<string> {
  const { path } = await fetchFrom(places(source, context), source, context, (digest) => digest === source.digest);
  return path;
}

/** What a source's locations give today. */
export interface FetchedAnew {
  /** Inside `context.scratch`. */
  readonly path: string;
  readonly digest: Digest;
}

/**
 * Gets whatever the first location that works has, whether or not it is what `source` says: for updating a recipe,
 * where a person then looks at the change. Source folders and mirrors have the old content by its digest, and are not asked.
 *
 * @throws VmbuildError SOURCE_UNAVAILABLE, PACKAGE_GONE, DISK_FULL, as fetchSource.
 */
export function fetchAnew(source: Source, context: FetchContext): Promise<FetchedAnew> {
  const { size: _size, ...unchecked } = source;
  const upstream = { ...context, settings: { ...context.settings, sourceMirrors: [] } };
  return fetchFrom(locations(unchecked, upstream), unchecked, upstream, () => true);
}

async function fetchFrom(
  candidates: AsyncIterable<Candidate | Unusable>,
  source: Source,
  context: FetchContext,
  isWanted: (digest: Digest) => boolean,
): Promise<FetchedAnew> {
  const failures: Failure[] = [];
  const last: Candidate[] = [];

  for await (const place of candidates) {
    if (!('fetch' in place))
      failures.push({ where: place.where, reason: place.reason, type: 'other', mirror: place.mirror });
    else if (context.settings.offline && place.host !== undefined) failures.push(offline(place.where));
    else if (place.host !== undefined && failedRecently(place.host)) last.push(place);
    else {
      const result = await attempt(source, place, context, isWanted);
      if ('path' in result) return result;
      failures.push(result);
      context.onRetry(`${result.where}: ${result.reason}`);
    }
  }
  for (const place of last) {
    const result = await attempt(source, place, context, isWanted);
    if ('path' in result) return result;
    failures.push(result);
  }
  throw unavailable(source, failures, context.settings.offline);
}

/** Every place in order. Lazy: mirrors are only looked for when what stands before them has failed. */
async function* places(source: Source, context: FetchContext): AsyncGenerator<Candidate | Unusable> {
  yield* await locateInFolders(source, context);
  yield* (await context.caches?.(source)) ?? [];
  yield* locations(source, context);
}

async function* locations(source: Source, context: FetchContext): AsyncGenerator<Candidate | Unusable> {
  for (const location of source.locations) {
    if (!KINDS[location.type].includes(source.kind)) {
      throw new VmbuildError(
        'RECIPE_INVALID',
        `${source.name}: a ${location.type}: location cannot give a ${source.kind}`,
      );
    }
    yield* await locate(source, location, context);
  }
}

async function locate(
  source: Source,
  location: Location,
  context: FetchContext,
): Promise<readonly (Candidate | Unusable)[]> {
  switch (location.type) {
    case 'local':
      return locateLocal(source, location, context);
    case 'https': {
      const own = await locateHttps(source, location, context);
      return location === source.locations.at(-1) ? [...own, ...locateInMirrors(source, context)] : own;
    }
    case 'oci':
      return [...locateInMirrors(source, context), ...(await locateOci(source, location, context))];
    case 'debian':
      // Which mirrors of the archive there are is only known by asking them.
      if (context.settings.offline) return [...locateInMirrors(source, context), offline(`debian:${location.path}`)];
      return locateDebian(source, location, context);
    case 'gomod':
      return locateGoModules(source, location, context);
    case 'gotoolchain':
      return locateGoToolchain(source, location, context);
  }
}

function offline(where: string): Failure & Unusable {
  return { where, reason: 'not tried: offline', type: 'other' };
}

/** One try at one place, in a folder of its own. Returns the path of the content, or why not. */
async function attempt(
  source: Source,
  candidate: Candidate,
  context: FetchContext,
  isWanted: (digest: Digest) => boolean,
): Promise<FetchedAnew | Failure> {
  const { scratch, signal } = context;
  signal.throwIfAborted();
  const folder = await mkdtemp(join(scratch, 'fetch-'));
  try {
    const path = join(folder, 'content');
    const digest = (await candidate.fetch(path)) ?? (await inspectTree(path)).digest;
    if (!isWanted(digest)) {
      if (candidate.host !== undefined) noteFailure(candidate.host);
      return { where: candidate.where, reason: `expected sha256 ${source.digest}, found ${digest}`, type: 'mismatch' };
    }
    if (candidate.host !== undefined) noteSuccess(candidate.host);
    const result = join(scratch, 'content');
    await rename(path, result);
    return { path: result, digest };
  } catch (error) {
    signal.throwIfAborted();
    if (['ENOSPC', 'EDQUOT', 'EROFS'].includes(systemErrorCode(error) ?? '')) {
      throw explainSystemError(error, `fetching ${source.name}`);
    }
    if (error instanceof VmbuildError && error.code === 'RECIPE_INVALID') throw error;
    return describe(candidate, error);
  } finally {
    await removeTree(folder);
  }
}

function describe(candidate: Candidate, error: unknown): Failure {
  const missing = error instanceof HttpError && (error.status === 404 || error.status === 410);
  // A file that is not there says nothing about the host.
  if (candidate.host !== undefined && !missing) noteFailure(candidate.host);
  const type = missing
    ? candidate.mirror === true
      ? 'gone'
      : 'other'
    : error instanceof VmbuildError && error.code === 'SOURCE_MISMATCH'
      ? 'mismatch'
      : 'other';
  return { where: candidate.where, reason: errorMessage(error), type, mirror: candidate.mirror };
}
