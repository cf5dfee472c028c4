import type { Digest } from '../model/digest.ts';
import type { ImageLock, LockedDeb } from './lockFile.ts';

/** A value before and after. */
interface Change<T> {
  readonly from: T;
  readonly to: T;
}

/** What a new lock changes. Lists are sorted by package name, and empty for images that were pulled. */
export interface LockDifference {
  readonly added: readonly LockedDeb[];
  readonly removed: readonly LockedDeb[];
  /** Packages whose version, or whose file under the same version, is another. */
  readonly changed: readonly Change<LockedDeb>[];
  /** Undefined if the image stays the same, which early cutoff then makes free of rebuilds. */
  readonly image: Change<Digest> | undefined;
}

/** Compares two locks of one image. */
export function diffLocks(old: ImageLock, next: ImageLock): LockDifference {
  const oldDebs = debsOf(old);
  const nextDebs = debsOf(next);
  const before = new Map(oldDebs.map((deb) => [deb.name, deb]));
  const after = new Map(nextDebs.map((deb) => [deb.name, deb]));
  return {
    added: nextDebs.filter((deb) => !before.has(deb.name)),
    removed: oldDebs.filter((deb) => !after.has(deb.name)),
    changed: nextDebs.flatMap((to) => {
      const from = before.get(to.name);
      return from === undefined || from.sha256 === to.sha256 ? [] : [{ from, to }];
    }),
    image: old.image.digest === next.image.digest ? undefined : { from: old.image.digest, to: next.image.digest },
  };
}

function debsOf(lock: ImageLock): readonly LockedDeb[] {
  return 'debs' in lock ? lock.debs : [];
}
