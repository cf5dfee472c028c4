import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../build/stepLog.ts';
import { formatDuration } from '../format.ts';
import type { Renderer, Sink } from './renderer.ts';
import { sentence, transferProgress } from './sentences.ts';

/** How often something long is mentioned, so that a CI system does not take it for dead. */
const HEARTBEAT_MS = 60_000;

/** Something that goes on, and the last that was heard of it. */
interface Activity {
  readonly title: string;
  readonly since: number;
  latest: string;
}

/** Plain lines, one an event, for logs and pipes. */
export function plainRenderer(sink: Sink): Renderer {
  const start = performance.now();
  const activities = new Map<string, Activity>();
  const say = (text: string): void =>
    void sink.write(`[${((performance.now() - start) / 1000).toFixed(1).padStart(7)}] ${printable(text)}\n`);

  const heartbeat = setInterval(() => {
    for (const { title, since, latest } of activities.values()) {
      say(`${title} still running after ${formatDuration(performance.now() - since)}${latest && `: ${latest}`}`);
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();

  return {
    emit: (event: BuildEvent) => {
      const text = sentence(event);
      if (text !== undefined) say(text);
      track(event, activities);
    },
    [Symbol.dispose]: () => clearInterval(heartbeat),
  };
}

function track(event: BuildEvent, activities: Map<string, Activity>): void {
  const begin = (key: string, title: string): void =>
    void activities.set(key, { title, since: performance.now(), latest: '' });
  const hear = (key: string, latest: string | undefined): void => {
    const activity = activities.get(key);
    if (activity !== undefined && latest) activity.latest = latest.slice(0, 120);
  };
  switch (event.type) {
    case 'step-started':
      return begin(event.target, event.target);
    case 'step-output':
      return hear(event.target, event.text.trimEnd().split('\n').at(-1));
    case 'step-finished':
    case 'step-failed':
      return void activities.delete(event.target);
    case 'transfer-started':
      return begin(event.digest, `${event.what} ${event.name}`);
    case 'transfer-progress':
      return hear(event.digest, transferProgress(event));
    case 'transfer-finished':
    case 'transfer-failed':
      return void activities.delete(event.digest);
    default:
  }
}

/** Every event as a line of JSON with its time (RFC 3339). */
export function jsonRenderer(sink: Sink): Renderer {
  return {
    emit: (event) => void sink.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`),
    [Symbol.dispose]: () => {},
  };
}
