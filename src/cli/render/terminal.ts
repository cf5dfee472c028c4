import { styleText } from 'node:util';
import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../build/stepLog.ts';
import { formatDuration } from '../format.ts';
import type { Renderer, Sink } from './renderer.ts';
import { sentence, transferProgress } from './sentences.ts';

const FRAME_MS = 120;

/** A line of the live part: something that is going on. */
interface Activity {
  readonly title: string;
  readonly since: number;
  detail: string;
}

/**
 * For a terminal: what has happened scrolls by, and below it stands what is going on, with elapsed times, the
 * last line of each running step's log and the progress of transfers.
 */
export function terminalRenderer(sink: Sink): Renderer {
  const start = performance.now();
  const activities = new Map<string, Activity>();
  const counts = { done: 0, all: 0, queued: new Set<string>() };
  let drawn = 0;

  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`);
  const frame = (): string => {
    const width = Math.max(20, (sink.columns ?? 80) - 1);
    const now = performance.now();
    const lines = [...activities.values()].map(({ title, since, detail }) => {
      const head = `  ${title} ${formatDuration(now - since)}`;
      return `${head}  ${detail}`.slice(0, width);
    });
    const queued = counts.queued.size > 0 ? `, queued: ${[...counts.queued].join(', ')}` : '';
    lines.push(`${counts.done} of ${counts.all} steps done${queued}, ${formatDuration(now - start)}`.slice(0, width));
    drawn = lines.length;
    return lines
      .map((line, index) => `${index < lines.length - 1 ? styleText('dim', line, { validateStream: false }) : line}\n`)
      .join('');
  };
  const draw = (above = ''): void => {
    const cleared = erase();
    sink.write(cleared + above + frame());
  };
  const timer = setInterval(() => draw(), FRAME_MS);
  timer.unref();

  return {
    emit: (event) => {
      track(event, activities, counts);
      const text = sentence(event);
      if (text !== undefined) draw(`${mark(event)} ${printable(text)}\n`);
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      sink.write(erase());
      drawn = 0;
    },
  };
}

function track(
  event: BuildEvent,
  activities: Map<string, Activity>,
  counts: { done: number; all: number; queued: Set<string> },
): void {
  const begin = (key: string, title: string): void =>
    void activities.set(key, { title, since: performance.now(), detail: '' });
  switch (event.type) {
    case 'planned':
      counts.all = event.steps.length;
      break;
    case 'step-queued':
      counts.queued.add(event.target);
      break;
    case 'step-started':
      counts.queued.delete(event.target);
      begin(event.target, event.target);
      break;
    case 'step-output': {
      const activity = activities.get(event.target);
      const line = printable(event.text).trimEnd().split('\n').at(-1);
      if (activity !== undefined && line) activity.detail = line.replaceAll('\t', ' ');
      break;
    }
    case 'step-finished':
    case 'step-failed':
      counts.queued.delete(event.target);
      activities.delete(event.target);
      counts.done += 1;
      break;
    case 'transfer-started':
      begin(event.digest, event.what === 'image' ? `image ${event.name}` : `fetch ${event.name}`);
      break;
    case 'transfer-progress': {
      const activity = activities.get(event.digest);
      if (activity !== undefined) activity.detail = transferProgress(event);
      break;
    }
    case 'transfer-finished':
    case 'transfer-failed':
      activities.delete(event.digest);
      break;
    case 'executor-chosen':
    case 'step-waiting':
    case 'transfer-waiting':
    case 'transfer-retried':
      break;
  }
}

function mark(event: BuildEvent): string {
  if (event.type === 'step-failed') return styleText('red', '✗', { validateStream: false });
  if (event.type === 'step-finished') return styleText('green', '✓', { validateStream: false });
  return styleText('dim', '·', { validateStream: false });
}
