import type { PublicKey } from './keys.ts';

/** Whom to believe, from the user's and the project's configuration alone. */
export interface Trust {
  /** By id. */
  readonly keys: ReadonlyMap<string, PublicKey>;
  /** What people call them, by id. */
  readonly names: ReadonlyMap<string, string>;
  /** Ids of keys that this user signs with: whatever they signed is a build of one's own. */
  readonly own: ReadonlySet<string>;
  /** How many signers must have built a step themselves and come to the same artifact. */
  readonly need: number;
}

/** Trusts nobody. */
export const NO_TRUST: Trust = { keys: new Map(), names: new Map(), own: new Set(), need: 1 };
