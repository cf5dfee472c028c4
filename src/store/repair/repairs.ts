import { basename } from 'node:path';
import type { Digest } from '../../model/digest.ts';
import type { Finding } from '../check/finding.ts';
import type { RecordIndex } from '../gc/recordIndex.ts';
import type { KeptThings } from './kept.ts';
import type { SeenFinding } from './findForRepair.ts';
import { quarantineName } from './quarantine.ts';

/**
 * What a repair does about something. `move-away`: to quarantine/, where it can be looked at until it is collected.
 * `set-modes`: its content is right. `note-collected`: it is missing, and nothing keeps it. `make-again`: it is missing, and a
 * root keeps it. `forget-steps`: of an attempt that failed, which would have made use of them. `leave`: only a person can
 * decide, or nothing has to be done.
 */
type Remedy = 'move-away' | 'set-modes' | 'note-collected' | 'make-again' | 'forget-steps' | 'leave';

/** A finding and what to do about it. */
export interface Repair extends SeenFinding {
  readonly remedy: Remedy;
  /** Below the store's folder; where `move-away` moves it to. */
  readonly quarantine?: string | undefined;
  /**
   * Targets that were made of it, as far as is known. Nobody knows since when it is damaged: what was made of it after that may
   * be wrong, too.
   */
  readonly madeOfIt: readonly string[];
}

/** Decides about every finding; changes nothing. */
export function chooseRepairs(
  findings: readonly SeenFinding[],
  kept: KeptThings,
  index: RecordIndex,
): readonly Repair[] {
  return findings.map((seen) => {
    const remedy = chooseRemedy(seen.finding, kept);
    const { path, trouble } = seen.finding;
    const quarantine = remedy === 'move-away' ? quarantineName(path, trouble === 'extra') : undefined;
    return { ...seen, remedy, quarantine, madeOfIt: remedy === 'move-away' ? madeOf(path, index) : [] };
  });
}

function chooseRemedy({ trouble, what, path, onlyModes }: Finding, kept: KeptThings): Remedy {
  switch (trouble) {
    case 'unreadable':
    case 'leftover': // the next vmbuild that opens the store removes it, which the repair itself is
      return 'leave';
    case 'extra':
      // The store's own folder may be somebody's, with other things in it.
      return path.includes('/') ? 'move-away' : 'leave';
    case 'missing':
      if (what === 'artifact') return kept.digests.has(basename(path)) ? 'make-again' : 'note-collected';
      if (what === 'root') return path.startsWith('roots/attempt-') ? 'forget-steps' : 'make-again';
      return 'leave';
    case 'damaged':
      if (onlyModes === true) return 'set-modes';
      // Without them a collection would take the blobs, which nobody can make again.
      return what === 'binding' ? 'leave' : 'move-away';
  }
}

function madeOf(path: string, index: RecordIndex): readonly string[] {
  const digest = basename(path);
  const users = index.all().filter(({ image, inputs }) => image === digest || inputs.includes(digest as Digest));
  return [...new Set(users.map(({ target }) => target))].sort();
}
