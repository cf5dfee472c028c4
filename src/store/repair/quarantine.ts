import { lstatSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exists, flush, listNames } from '../../io/files.ts';
import { type Digest, isDigest } from '../../model/digest.ts';
import type { Store } from '../openStore.ts';

/** What something is called in quarantine/. What vmbuild has not made is never collected from there. */
export function quarantineName(path: string, foreign: boolean): string {
  return `quarantine/${foreign ? 'foreign-' : ''}${path.replaceAll('/', '-')}`;
}

/** Moves something of a store to quarantine/, beside whatever is there of that name already; nothing happens if it is gone. */
export async function moveAway({ layout }: Pick<Store, 'layout'>, path: string, quarantine: string): Promise<void> {
  const place = join(layout.root, path);
  if (!(await exists(place))) return;
  mkdirSync(layout.quarantine, { recursive: true });
  const wanted = join(layout.root, quarantine);
  let target = wanted;
  for (let count = 1; await exists(target); count += 1) target = `${wanted}.${count}`;
  renameSync(place, target);
  await flush(layout.quarantine);
  await flush(dirname(place));
}

/** The artifacts, sources and images that were moved to quarantine/, and nothing is in their place. */
export async function lostToQuarantine({ layout }: Pick<Store, 'layout'>): Promise<ReadonlySet<Digest>> {
  const lost = new Set<Digest>();
  for (const name of listNames(layout.quarantine)) {
    const [, folder = '', digest] = /^(artifacts|sources|images)-([0-9a-f]{64})(?:\.\d+)?$/.exec(name) ?? [];
    if (isDigest(digest) && !(await exists(join(layout.root, folder, digest)))) lost.add(digest);
  }
  return lost;
}

/** Tells a file or folder of a store from the one that takes its place. Empty if there is none. */
export function identityOf({ layout }: Pick<Store, 'layout'>, path: string): string {
  const stat = lstatSync(join(layout.root, path), { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.dev} ${stat.ino} ${stat.ctimeNs}`;
}
