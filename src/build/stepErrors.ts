import type { StepResult } from '../executors/executor.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { Store } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import { howItEnded } from './howItEnded.ts';

/** The refusal to build what nobody has to offer. */
export function notSubstituted(target: string, others: number): VmbuildError {
  const more = others === 0 ? '' : `, nor ${others} more`;
  return new VmbuildError('NOT_SUBSTITUTED', `no cache has ${target}${more} from builders that are trusted`, {
    step: target,
    hints: ['Leave out --substitute-only to build it here.', 'vmbuild cache ls <target> shows what the caches have.'],
  });
}

/**
 * Says of an error which step it was, where its log is, and where its files are.
 *
 * @param files undefined if nobody asked to keep them; otherwise where they were kept, if they could be.
 */
export function explainStepError(
  target: string,
  error: unknown,
  files: { readonly kept: string | undefined } | undefined,
): VmbuildError {
  const known = error instanceof VmbuildError ? error : undefined;
  // What the system refused is the executor's failure; anything else that was not foreseen is ours.
  const unforeseen = systemErrorCode(error) === undefined ? 'INTERNAL' : 'EXECUTOR_FAILED';
  return new VmbuildError(known?.code ?? unforeseen, errorMessage(error), {
    step: known?.step ?? target,
    log: known?.log ?? `vmbuild log ${target}`,
    excerpt: known?.excerpt,
    hints: [...(known?.hints ?? []), whereFilesAre(files)],
    cause: error,
  });
}

function whereFilesAre(files: { readonly kept: string | undefined } | undefined): string {
  if (files === undefined) return 'To look at its files, run it again with --keep-failed.';
  return files.kept === undefined ? 'Its files could not be kept.' : `Its files were kept in ${files.kept}.`;
}

/** How far the step had come when its executor gave it up. */
export function withTail(error: unknown, tail: readonly string[]): unknown {
  if (!(error instanceof VmbuildError) || error.excerpt.length > 0) return error;
  const { code, message, step, hints, log, cause } = error;
  return new VmbuildError(code, message, { step, hints, log, cause, excerpt: tail });
}

/** The command of a step has failed. */
export function buildFailed(step: Step, result: StepResult, tail: readonly string[]): VmbuildError {
  return new VmbuildError('BUILD_FAILED', `${step.target} ${howItEnded(result)}`, { step: step.target, excerpt: tail });
}

/** A rebuild gave other bytes than are on record. */
export function notReproduced(
  target: string,
  key: Digest,
  recorded: Digest,
  found: Digest,
  { layout }: Store,
): VmbuildError {
  return new VmbuildError(
    'NOT_REPRODUCED',
    `${target} was built again and came out as ${found}; recorded is ${recorded}`,
    {
      step: target,
      log: `vmbuild log ${target}`,
      hints: [
        `Both are kept. Compare them: diff -r ${layout.tree(recorded)} ${layout.tree(found)}`,
        `If the record is what is wrong, remove it: ${layout.realisation(key)}`,
      ],
    },
  );
}
