import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../model/printable.ts';
import { formatDuration } from '../format.ts';
import { type Activities, trackActivity } from './activities.ts';
import type { Renderer, Sink } from './renderer.ts';
import { sentence } from './sentences.ts';

/** How often something long is mentioned, so that a CI system does not take it for dead. */
const HEARTBEAT_MS = 60_000;

/** Plain lines, one an event, for logs and pipes. */
export function plainRenderer(sink: Sink): Renderer {
  const start = performance.now();
  const activities: Activities = new Map();
  const say = (text: string): void =>
    void sink.write(`[${((performance.now() - start) / 1000).toFixed(1).padStart(7)}] ${printable(text)}\n`);

  const heartbeat = setInterval(() => {
    for (const { title, since, latest } of activities.values()) {
      say(
        `${title} still running after ${formatDuration(performance.now() - since)}${latest && `: ${latest.slice(0, 120)}`}`,
      );
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();

  return {
    emit: (event: BuildEvent) => {
      const text = sentence(event);
      if (text !== undefined) say(text);
      trackActivity(event, activities);
    },
    [Symbol.dispose]: () => clearInterval(heartbeat),
  };
}

/** Every event as a line of JSON with its time (RFC 3339). */
export function jsonRenderer(sink: Sink): Renderer {
  return {
    emit: (event) => void sink.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`),
    [Symbol.dispose]: () => {},
  };
}
