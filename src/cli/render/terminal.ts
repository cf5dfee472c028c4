import { styleText } from 'node:util';
import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../model/printable.ts';
import { formatDuration } from '../format.ts';
import { type Activities, trackActivity } from './activities.ts';
import type { Renderer, Sink } from './renderer.ts';
import { sentence } from './sentences.ts';

const FRAME_MS = 120;

/**
 * For a terminal: what has happened scrolls by, and below it stands what is going on, with elapsed times, the
 * last line of each running step's log and the progress of transfers.
 */
export function terminalRenderer(sink: Sink): Renderer {
  const start = performance.now();
  const activities: Activities = new Map();
  const counts = { done: 0, all: 0, queued: new Set<string>() };
  let drawn = 0;

  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`);
  const frame = (): string => {
    const width = Math.max(20, (sink.columns ?? 80) - 1);
    const now = performance.now();
    const lines = [...activities.values()].map(({ title, since, latest }) => {
      const head = `  ${title} ${formatDuration(now - since)}`;
      return `${head}  ${latest}`.slice(0, width);
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
      trackActivity(event, activities);
      count(event, counts);
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

function count(event: BuildEvent, counts: { done: number; all: number; readonly queued: Set<string> }): void {
  if (event.type === 'planned') counts.all = event.steps.length;
  if (event.type === 'step-queued') counts.queued.add(event.target);
  if (event.type === 'step-started') counts.queued.delete(event.target);
  if (event.type === 'step-finished' || event.type === 'step-failed') {
    counts.queued.delete(event.target);
    counts.done += 1;
  }
}

function mark(event: BuildEvent): string {
  if (event.type === 'step-failed') return styleText('red', '✗', { validateStream: false });
  if (event.type === 'step-finished') return styleText('green', '✓', { validateStream: false });
  return styleText('dim', '·', { validateStream: false });
}
