import type { Digest } from '../model/digest.ts';
import type { ImageLock, LockedDeb } from './lockFile.ts';

/** A value before and after. */
interface Change<T> {
  readonly from: T;
  readonly to: T;
}

/** What a new lock changes. Lists are sorted by package name. */
export interface LockDifference {
  readonly added: readonly LockedDeb[];
  readonly removed: readonly LockedDeb[];
  /** Packages whose version, or whose file under the same version, is another. */
  readonly changed: readonly Change<LockedDeb>[];
  /** The Date of the signed index; `to` can be earlier than `from` if a mirror lags behind. */
  readonly date: Change<string>;
  /** Undefined if the image stays the same, which early cutoff then makes free of rebuilds. */
  readonly image: Change<Digest> | undefined;
}

/** Compares two locks of one image. */
export function diffLocks(old: ImageLock, next: ImageLock): LockDifference {
  const before = new Map(old.debs.map((deb) => [deb.name, deb]));
  const after = new Map(next.debs.map((deb) => [deb.name, deb]));
  return {
    added: next.debs.filter((deb) => !before.has(deb.name)),
    removed: old.debs.filter((deb) => !after.has(deb.name)),
    changed: next.debs.flatMap((to) => {
      const from = before.get(to.name);
      return from === undefined || from.sha256 === to.sha256 ? [] : [{ from, to }];
    }),
    date: { from: old.index.inRelease.date, to: next.index.inRelease.date },
    image: old.image.digest === next.image.digest ? undefined : { from: old.image.digest, to: next.image.digest },
  };
}
