import { jsonRenderer, plainRenderer } from './render/plain.ts';
import type { Renderer } from './render/renderer.ts';
import { terminalRenderer } from './render/terminal.ts';

/** Lines of JSON on standard output if asked for; else, on standard error, what suits it. */
export function chooseRenderer(json: boolean): Renderer {
  if (json) return jsonRenderer(process.stdout);
  const interactive = process.stderr.isTTY && process.env['CI'] === undefined && process.env['TERM'] !== 'dumb';
  return interactive ? terminalRenderer(process.stderr) : plainRenderer(process.stderr);
}
