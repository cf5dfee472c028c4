/**
 * What is wrong with something in a store. `damaged`: it is not what its name says. `missing`: a record names it, and
 * it is not there. `extra`: it does not belong there. `unreadable`: this user may not look at it, so nothing is known.
 * `leftover`: of a process that is gone; harmless, and removed by the next vmbuild that opens the store.
 */
type Trouble = 'damaged' | 'missing' | 'extra' | 'unreadable' | 'leftover';

/** What a store holds. */
export type StoredKind =
  | 'artifact'
  | 'source'
  | 'blob'
  | 'binding'
  | 'image'
  | 'realisation'
  | 'log'
  | 'target'
  | 'root'
  | 'verification'
  | 'lock'
  | 'other';

/** One thing that a check found. */
export interface Finding {
  readonly trouble: Trouble;
  readonly what: StoredKind;
  /** Below the store's folder. */
  readonly path: string;
  /** Its content is right; who may read, write or run it is not. */
  readonly onlyModes?: true;
  /** What exactly, for people. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** True for what a store can be used with as if it were not there. */
export function isHarmless({ trouble }: Finding): boolean {
  return trouble === 'leftover';
}
