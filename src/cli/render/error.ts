import { styleText } from 'node:util';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { printable } from '../../model/printable.ts';

/** How an error is shown. */
export interface ErrorStyle {
  readonly color: boolean;
  /** Stack traces, too. */
  readonly debug: boolean;
}

/** An error for programs: one line of JSON, the last that a command with --json writes. */
export function errorAsJson(error: unknown): string {
  const { code, step, log, hints } =
    error instanceof VmbuildError ? error : { code: 'INTERNAL', step: undefined, log: undefined, hints: [] };
  const time = new Date().toISOString();
  return `${JSON.stringify({ time, type: 'error', code, step, message: errorMessage(error), log, hints })}\n`;
}

/** An error for people: what, the last lines of the log, where the log is, what to do next. */
export function renderError(error: unknown, { color, debug }: ErrorStyle): string {
  const paint = (format: 'red' | 'bold' | 'dim', text: string): string =>
    color ? styleText(format, text, { validateStream: false }) : text;
  // What a server, a daemon or a build said may be part of it.
  const message = printable(errorMessage(error));
  const lines: string[] = [];
  if (error instanceof VmbuildError) {
    for (const line of error.excerpt) lines.push(paint('dim', `  │ ${line}`));
    lines.push(`${paint('red', 'error')} ${paint('bold', error.code)}: ${message}`);
    if (error.step !== undefined && !error.message.includes(error.step)) lines.push(`  step: ${error.step}`);
    if (error.log !== undefined) lines.push(`  log:  ${error.log}`);
    for (const hint of error.hints) lines.push(`  next: ${printable(hint)}`);
  } else {
    lines.push(`${paint('red', 'error')} ${paint('bold', 'INTERNAL')}: ${message}`);
    lines.push('  This is a defect in vmbuild. Please report it with the output of VMBUILD_DEBUG=1 vmbuild …');
  }
  if (debug && error instanceof Error) {
    lines.push(error.stack ?? '');
    if (error.cause !== undefined)
      lines.push(`caused by ${error.cause instanceof Error ? error.cause.stack : errorMessage(error.cause)}`);
  }
  return `${lines.join('\n')}\n`;
}
