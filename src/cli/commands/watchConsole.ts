import type { Socket } from 'node:net';
import { VmbuildError } from '../../model/errors.ts';

/** What a terminal would not show: escape sequences, carriage returns and NUL bytes. */
// eslint-disable-next-line no-control-regex
const INVISIBLE = /\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][0-9A-B]?|[\r\0]/g;

/** An escape sequence whose end has not come yet. */
// eslint-disable-next-line no-control-regex
const UNFINISHED = /\x1b(?:\[[0-9;?]*|[()=>])?$/;

interface WatchOptions {
  /** Texts that have to appear in this order; without any, the console is shown until the machine is off. */
  readonly expect: readonly string[];
  /** Seconds for all of them. */
  readonly timeoutS: number;
  readonly signal: AbortSignal;
}

/**
 * Prints what a machine's console shows until all that is expected has appeared.
 *
 * @throws VmbuildError BOOT_FAILED if it has not when time is up, or the machine is off.
 */
export async function watchConsole(console: Socket, { expect, timeoutS, signal }: WatchOptions): Promise<void> {
  const started = performance.now();
  const missing = [...expect];
  let rest = '';
  let said = '';
  let seen = 0;
  const look = (): void => {
    for (let mark = missing[0]; mark !== undefined; mark = missing[0]) {
      const at = said.indexOf(mark, seen);
      if (at < 0) return;
      seen = at + mark.length;
      missing.shift();
      process.stderr.write(`\n${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${mark}\n`);
    }
  };
  const late =
    expect.length === 0 ? undefined : setTimeout(() => console.destroy(new Error('timed out')), timeoutS * 1000);
  const stop = (): void => void console.destroy(signal.reason as Error);
  signal.addEventListener('abort', stop);
  try {
    for await (const chunk of console.setEncoding('utf8') as AsyncIterable<string>) {
      const text = rest + chunk;
      rest = UNFINISHED.exec(text)?.[0] ?? '';
      const visible = text.slice(0, text.length - rest.length).replaceAll(INVISIBLE, '');
      process.stdout.write(process.stdout.isTTY ? chunk : visible);
      said += visible;
      look();
      if (expect.length > 0 && missing.length === 0) return;
    }
    if (missing.length > 0) throw failed('the machine is off', missing, said);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof VmbuildError) throw error;
    throw failed(`timed out after ${timeoutS} s`, missing, said);
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', stop);
    console.destroy();
  }
}

function failed(why: string, missing: readonly string[], said: string): VmbuildError {
  return new VmbuildError('BOOT_FAILED', `${why}, and the console has not shown ${JSON.stringify(missing[0])}`, {
    excerpt: said.trimEnd().split('\n').slice(-20),
  });
}
