import type { CheckOptions, CheckSummary } from '../check/check.ts';
import { checkStore } from '../check/checkStore.ts';
import type { Finding } from '../check/finding.ts';
import type { Store } from '../openStore.ts';
import { identityOf } from './quarantine.ts';

/** A finding, and which file or folder it is about: a minute later another one may have its name. */
export interface SeenFinding {
  readonly finding: Finding;
  /** Empty if there was nothing. */
  readonly identity: string;
}

/** Checks a store like checkStore, and notes what exactly each finding is about. */
export async function findForRepair(
  store: Store,
  options: Omit<CheckOptions, 'onFinding'>,
): Promise<{ readonly summary: CheckSummary; readonly findings: readonly SeenFinding[] }> {
  const findings: SeenFinding[] = [];
  const onFinding = (finding: Finding): void => {
    findings.push({ finding, identity: identityOf(store, finding.path) });
  };
  const summary = await checkStore(store, { ...options, onFinding });
  findings.sort((a, b) => (a.finding.path < b.finding.path ? -1 : 1));
  return { summary, findings };
}
