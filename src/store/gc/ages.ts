import type { Digest } from '../../model/digest.ts';
import type { RecordFacts, RecordIndex } from './recordIndex.ts';

/**
 * When each artifact, source and image was last used, as far as realisations tell: milliseconds since 1970 by digest. An
 * input is as young as what was made of it, and all that a result was made of was in use until the result was none any
 * more.
 */
export function lastUses(index: RecordIndex): ReadonlyMap<Digest, number> {
  const uses = new Map<Digest, number>();
  const seen = new Set<Digest>();
  // From the youngest on, so that the first that comes to something knows its time.
  for (const youngest of index.all().toSorted((a, b) => b.usedAt - a.usedAt)) {
    const pending: RecordFacts[] = [youngest];
    for (let record = pending.pop(); record !== undefined; record = pending.pop()) {
      if (seen.has(record.key)) continue;
      seen.add(record.key);
      for (const digest of [record.artifact, record.image, ...record.inputs]) {
        if (!uses.has(digest)) uses.set(digest, youngest.usedAt);
        pending.push(...index.producers(digest));
      }
    }
  }
  return uses;
}
