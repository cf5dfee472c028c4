import { join } from 'node:path';
import { exists } from '../../io/files.ts';
import { errorMessage, systemErrorCode } from '../../model/errors.ts';
import type { Check } from './check.ts';
import type { Finding, StoredKind } from './finding.ts';

/** Reports something that no part of vmbuild makes. */
export function reportExtra({ onFinding }: Check, path: string): void {
  onFinding({
    trouble: 'extra',
    what: 'other',
    path,
    message: 'does not belong here',
    remedy: 'vmbuild did not put it there. Move it elsewhere, or remove it.',
  });
}

/** Reports what a process that is gone could not clean up. */
export function reportLeftover({ onFinding }: Check, path: string): void {
  onFinding({
    trouble: 'leftover',
    what: 'other',
    path,
    message: 'was left by a process that has ended',
    remedy: 'Nothing: the next vmbuild that opens the store removes it.',
  });
}

/** Reports something, unless it has been collected or replaced since it was listed. */
export async function reportUnlessGone({ store, onFinding }: Check, finding: Finding): Promise<void> {
  if (await exists(join(store.layout.root, finding.path))) onFinding(finding);
}

/** The finding for what could not be read: this user may not, or the disk or the file is damaged. */
export function unread(what: StoredKind, path: string, error: unknown, remedy: string): Finding {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (['EACCES', 'EPERM'].includes(systemErrorCode(cause) ?? '')) {
    const message = 'may not be read by this user, so nothing is known of it';
    return { trouble: 'unreadable', what, path, message, remedy: 'Check it as the user that owns the store.' };
  }
  return { trouble: 'damaged', what, path, message: `cannot be read: ${errorMessage(error)}`, remedy };
}
