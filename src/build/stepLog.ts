import { closeSync, openSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { printable } from '../model/printable.ts';

/** Lines that an error message quotes. */
const TAIL_LINES = 20;
const MAX_LINE = 500;

/** The growing log of a running step. */
export interface StepLog extends Disposable {
  /** Plain text, as it came. */
  readonly path: string;
  /** Takes the step's output; slow disks slow the step down instead of filling memory. */
  readonly stream: Writable;
  /** The last lines so far, control characters removed. */
  tail(): readonly string[];
  /** Nothing may be written afterwards. May be called twice. */
  close(): void;
}

/**
 * Opens a log file; `onText` sees everything as text as well, whole characters at a time. What is written is in the
 * file when the write returns, so nothing can be left over at the end.
 */
export function openStepLog(path: string, onText: (text: string) => void): StepLog {
  const descriptor = openSync(path, 'w');
  let open = true;
  const decoder = new StringDecoder('utf8');
  let recent = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = decoder.write(chunk);
      recent = (recent + text).slice(-TAIL_LINES * MAX_LINE);
      onText(text);
      try {
        writeFileSync(descriptor, chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  // A full disk destroys the stream; the step is then ended by the executor, which may not be listening at this moment.
  stream.on('error', () => {});
  const close = (): void => {
    if (open) closeSync(descriptor);
    open = false;
  };
  return {
    path,
    stream,
    tail: () =>
      recent
        .split('\n')
        .map((line) => printable(line).slice(0, MAX_LINE))
        .filter((line) => line !== '')
        .slice(-TAIL_LINES),
    close,
    [Symbol.dispose]: close,
  };
}
