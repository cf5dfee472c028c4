import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../model/printable.ts';
import { transferProgress } from './sentences.ts';

/** Something that goes on, and the last that was heard of it. */
interface Activity {
  readonly title: string;
  /** On performance.now()'s clock. */
  readonly since: number;
  /** One line without control characters; empty as long as nothing was heard. */
  latest: string;
}

/** What goes on, by target or digest, oldest first. */
export type Activities = Map<string, Activity>;

/** Keeps `activities` up to date with what happens. */
export function trackActivity(event: BuildEvent, activities: Activities): void {
  switch (event.type) {
    case 'step-started':
      activities.set(event.target, begin(event.target));
      break;
    case 'step-output':
      hear(activities.get(event.target), printable(event.text).trimEnd().split('\n').at(-1));
      break;
    case 'transfer-started':
      activities.set(event.digest, begin(`${event.what} ${event.name}`));
      break;
    case 'transfer-progress':
      hear(activities.get(event.digest), transferProgress(event));
      break;
    case 'step-finished':
    case 'step-failed':
      activities.delete(event.target);
      break;
    case 'transfer-finished':
    case 'transfer-failed':
      activities.delete(event.digest);
      break;
    case 'planned':
    case 'executor-chosen':
    case 'limit-not-kept':
    case 'step-not-reproducible':
    case 'step-queued':
    case 'step-waiting':
    case 'transfer-waiting':
    case 'transfer-retried':
    case 'cache-dropped':
      break;
  }
}

function begin(title: string): Activity {
  return { title, since: performance.now(), latest: '' };
}

function hear(activity: Activity | undefined, latest: string | undefined): void {
  if (activity !== undefined && latest) activity.latest = latest.replaceAll('\t', ' ');
}
