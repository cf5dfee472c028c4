import { VmbuildError } from '../model/errors.ts';
import type { DebianLocation } from '../model/source.ts';
import { aptProxy, findDebianMirrors } from './aptMirrors.ts';
import type { Candidate, Locate, Unusable } from './fetcher.ts';
import { urlCandidate } from './https.ts';
import { locateInMirrors } from './sourceMirrors.ts';

/** The Debian project's archive of every file that was ever in its archive (documented at its `/` and `/help`). */
const SNAPSHOT_ARCHIVE = 'https://snapshot.debian.org/archive/debian';

/**
 * A file of the Debian archive: from the machine's own apt mirrors, the configured mirrors, then the snapshot
 * archive at the time that the lock names.
 */
export const locateDebian: Locate<DebianLocation> = async (source, location, context) => {
  const path = urlPath(location.path);
  const { mirrors, unusable } = await findDebianMirrors(context);
  const places: (Candidate | Unusable)[] = [];
  for (const base of mirrors) {
    const url = `${base}/${path}`;
    places.push({ ...urlCandidate(source, url, context, await aptProxy(url, context.settings)), mirror: true });
  }
  places.push(...unusable);
  if (mirrors.length === 0) {
    places.push({
      where: `debian:${location.path}`,
      reason: 'no usable mirror is known; configure one (debianMirrors)',
    });
  }
  places.push(...locateInMirrors(source, context));
  if (location.snapshot !== undefined) {
    if (!/^\d{8}T\d{6}Z$/.test(location.snapshot)) {
      throw new VmbuildError(
        'RECIPE_INVALID',
        `${source.name}: not a snapshot time: ${JSON.stringify(location.snapshot)}`,
      );
    }
    const base = (context.settings.debianSnapshot ?? SNAPSHOT_ARCHIVE).replace(/\/+$/, '');
    places.push(urlCandidate(source, `${base}/${location.snapshot}/${path}`, context));
  }
  return places;
};

/** `+` and the like are percent-encoded, as apt does: some object stores take a bare plus for a space. */
function urlPath(path: string): string {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new VmbuildError('RECIPE_INVALID', `not a path in the Debian archive: ${JSON.stringify(path)}`);
  }
  return parts.map(encodeURIComponent).join('/');
}
