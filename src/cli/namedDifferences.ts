import { diffPaths, type PathDifference } from '../firmware/diffPaths.ts';
import { type Producer, producersOf } from '../firmware/producers.ts';
import type { Store } from '../store/openStore.ts';
import { type Made, madeFiles } from './subject.ts';

/** A difference, and who made what the old side has there, as far as that is known. */
export type NamedDifference = PathDifference & { readonly producer: Producer | undefined };

/**
 * Every difference of two files or folders, with the recipes to look into.
 *
 * @param graphOf what `before` is made of; nothing for a file from elsewhere. Only asked if there are differences.
 */
export async function namedDifferences(
  before: string,
  after: string,
  graphOf: () => Promise<readonly Made[]>,
  store: Store,
): Promise<readonly NamedDifference[]> {
  const differences = diffPaths(before, after);
  if (differences.length === 0) return [];
  const producers = await producersOf(differences, madeFiles({ graph: await graphOf() }, { store }));
  return differences.map((difference, index) => ({ ...difference, producer: producers[index] }));
}
