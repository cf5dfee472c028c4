import { ownerPrefix, ownerState } from '../../io/owner.ts';

/** Labels on everything that vmbuild makes in a daemon. */
export const LABELS = {
  /** The vmbuild process that made it, as `ownRun()` names it. Not on finished content, which outlives its maker. */
  run: 'vmbuild.run',
  /** Name of the step. */
  step: 'vmbuild.step',
  /** On anonymous volumes: name of the container that they were made for. */
  container: 'vmbuild.container',
  /** `tree:<digest>` or `file:<digest>`: what a volume is filled with. */
  content: 'vmbuild.content',
  /** On the record of a content: the name of the volume that holds all of it. */
  volume: 'vmbuild.volume',
} as const;

/** This process, such that nothing else is ever mistaken for it. */
export function ownRun(): string {
  return ownerPrefix();
}

/**
 * True only if the process is known to be gone. What another boot made may be another machine's that uses the same
 * daemon, so it is taken to be alive.
 */
export function isGone(run: string): boolean {
  return ownerState(run) === 'ended';
}
