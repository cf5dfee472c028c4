import type { BuildEvent, TransferKind } from '../../build/events.ts';
import { shortDigest } from '../../model/digest.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';

/** One line for an event that people should see once it has happened; undefined for the others. */
export function sentence(event: BuildEvent): string | undefined {
  switch (event.type) {
    case 'planned': {
      const count = (decision: string): number => event.steps.filter((step) => step.decision === decision).length;
      const open = count('build') + count('depends');
      const others = [
        ...(count('fetch') === 0 ? [] : [`${count('fetch')} to fetch`]),
        ...(count('skip') === 0 ? [] : [`${count('skip')} not needed`]),
      ];
      if (open + count('fetch') === 0) return undefined;
      const steps = formatCount(event.steps.length, 'step');
      return `${steps}: ${[`${count('reuse')} in the store`, ...others, `${open} to build`].join(', ')}`;
    }
    case 'executor-chosen':
      return `executor ${event.executor} (${event.reason})`;
    case 'limit-not-kept':
      return `WARNING: ${event.executor} cannot keep the limit ${event.limit}: ${event.reason}`;
    case 'step-not-reproducible':
      return `WARNING: ${event.target} gave other bytes in the verification of ${event.at}${event.by === undefined ? '' : ` by ${event.by}`}: vmbuild verify ${event.target}`;
    case 'step-waiting':
      return `${event.target} waits: ${event.reason}`;
    case 'step-started':
      return `${event.target} started (build key ${shortDigest(event.buildKey)})`;
    case 'step-finished': {
      if (event.how === 'skipped') return undefined;
      if (event.how === 'fetched') return `${event.target} is from a cache: ${shortDigest(event.artifact)}`;
      if (event.how === 'reused') return `${event.target} is in the store: ${shortDigest(event.artifact)}`;
      const same = event.how === 'rebuilt' ? ', the same bytes again' : '';
      return `${event.target} built in ${formatDuration(event.durationMs)}: ${shortDigest(event.artifact)}${same}`;
    }
    case 'step-failed':
      return `${event.target} FAILED: ${event.message.split('\n')[0]}`;
    case 'transfer-waiting': {
      const doing = event.what === 'image' ? 'assembling' : 'fetching';
      return `${event.name} waits: another vmbuild is ${doing} it`;
    }
    case 'transfer-started':
      return event.what === 'image' ? `image ${event.name} is assembled` : `fetching ${event.name}${ofStep(event)}`;
    case 'cache-dropped':
      return `warning: ${event.message}`;
    case 'transfer-retried':
      return `${event.name}: ${event.message}`;
    case 'transfer-finished': {
      const done = event.what === 'image' ? `image ${event.name} assembled` : `fetched ${event.name}${ofStep(event)}`;
      return `${done} in ${formatDuration(event.durationMs)}`;
    }
    case 'step-queued':
    case 'step-output':
    case 'transfer-progress':
    // Whoever needs it fails, and says why.
    case 'transfer-failed':
      return undefined;
  }
}

function ofStep({ what }: { readonly what: TransferKind }): string {
  return what === 'artifact' ? ' from a cache' : '';
}

/** How far a transfer is: `12.0 MiB of 144.4 MiB`, `33 of 62 packages`. */
export function transferProgress(event: Extract<BuildEvent, { type: 'transfer-progress' }>): string {
  const show = event.what === 'image' ? String : formatBytes;
  const total = event.total === undefined ? '' : ` of ${show(event.total)}`;
  return `${show(event.done)}${total}${event.what === 'image' ? ' packages' : ''}`;
}
