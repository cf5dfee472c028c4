import { join } from 'node:path';
import type { Source } from '../model/source.ts';
import type { Candidate, FetchContext } from './fetcher.ts';
import { urlCandidate } from './https.ts';
import { copyCandidate } from './localFiles.ts';

/** What the configured `sourceMirrors` may have: files under their digests, in folders or on web servers. */
export function locateInMirrors(source: Source, context: FetchContext): Candidate[] {
  // Trees have no single file that could lie there under their digest.
  if (source.kind !== 'file') return [];
  return (context.settings.sourceMirrors ?? []).map((base) =>
    /^https?:\/\//.test(base)
      ? urlCandidate(source, `${base.replace(/\/+$/, '')}/${source.digest}`, context)
      : copyCandidate(source, join(base, source.digest), context),
  );
}
