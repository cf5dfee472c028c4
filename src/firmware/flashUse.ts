import { availableFlash } from '../model/flashBudget.ts';
import type { PlatformDescription } from '../model/recipe.ts';
import { isFlash, type Part } from './parts/part.ts';
import { placedRoot, walkPlaces } from './parts/places.ts';

/** Who takes what of a flash chip; in bytes. */
export interface FlashUse {
  readonly size: number;
  /** The vendor's share. */
  readonly taken: number;
  /** What VMBoot takes: everything else but the free room of its file systems. */
  readonly used: number;
  /** What VMBoot may take. */
  readonly budget: number;
  /** What is left of the budget; less than nothing if it is exceeded. */
  readonly free: number;
}

/** Measures an image of a platform's flash; undefined if it is none, by its size. */
export function flashUse(root: Part, flash: PlatformDescription['flash']): FlashUse | undefined {
  const size = root.content.length;
  if (size !== flash.size) return undefined;
  const taken = size - availableFlash(flash);
  let room = 0;
  // Free room of a file system has a header; other areas that happen to be empty are not to be had.
  for (const { part, place } of walkPlaces(placedRoot(root), ({ part: one }) => isFlash(one))) {
    if (part.kind === 'free' && part.header !== undefined && (place ?? 0) >= taken) room += part.content.length;
  }
  const used = size - taken - room;
  return { size, taken, used, budget: flash.budget, free: flash.budget - used };
}
