import type { BuildEvent } from '../../build/events.ts';
import { printable } from '../../build/stepLog.ts';
import { formatDuration } from '../format.ts';
import type { Renderer, Sink } from './renderer.ts';
import { sentence } from './sentences.ts';

/** How often a running step is mentioned, so that a CI system does not take it for dead. */
const HEARTBEAT_MS = 60_000;

/** Plain lines, one an event, for logs and pipes. */
export function plainRenderer(sink: Sink): Renderer {
  const start = performance.now();
  const running = new Map<string, { since: number; line: string }>();
  const say = (text: string): void =>
    void sink.write(`[${((performance.now() - start) / 1000).toFixed(1).padStart(7)}] ${printable(text)}\n`);

  const heartbeat = setInterval(() => {
    for (const [target, { since, line }] of running) {
      say(`${target} still running after ${formatDuration(performance.now() - since)}: ${line}`);
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();

  return {
    emit: (event: BuildEvent) => {
      const text = sentence(event);
      if (text !== undefined) say(text);
      if (event.type === 'step-started') running.set(event.target, { since: performance.now(), line: '' });
      if (event.type === 'step-finished' || event.type === 'step-failed') running.delete(event.target);
      if (event.type === 'step-output') {
        const step = running.get(event.target);
        const line = event.text.trimEnd().split('\n').at(-1);
        if (step !== undefined && line) step.line = line.slice(0, 120);
      }
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
