import { closeSync, openSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { printable } from '../model/printable.ts';

/** Lines that an error message quotes. */
const TAIL_LINES = 20;
const MAX_LINE = 500;

/** The growing log of a running step. */
export interface StepLog extends Disposable {
  /** Plain text, as it came: the file's path, or all of it if there is no file. */
  content(): string | Uint8Array;
  /** Takes the step's output; slow disks slow the step down instead of filling memory. */
  readonly stream: Writable;
  /** The last lines so far, control characters removed. */
  tail(): readonly string[];
  /** Nothing may be written afterwards. May be called twice. */
  close(): void;
}

/**
 * Opens a log; `onText` sees everything as text as well, whole characters at a time. What is written is in the file
 * when the write returns, so nothing can be left over at the end.
 *
 * @param held bytes up to which it is held in memory and there is no file: most steps print little, and a file that is
 * soon removed again costs more than all else that is done with it.
 */
export function openStepLog(path: string, onText: (text: string) => void, held = 0): StepLog {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let descriptor = held > 0 ? undefined : openSync(path, 'w');
  let open = true;
  const write = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (descriptor === undefined && bytes > held) {
      descriptor = openSync(path, 'w');
      for (const earlier of chunks.splice(0)) writeFileSync(descriptor, earlier);
    }
    if (descriptor === undefined) chunks.push(chunk);
    else writeFileSync(descriptor, chunk);
  };
  const decoder = new StringDecoder('utf8');
  let recent = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = decoder.write(chunk);
      recent = (recent + text).slice(-TAIL_LINES * MAX_LINE);
      onText(text);
      try {
        write(chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  // A full disk destroys the stream; the step is then ended by the executor, which may not be listening at this moment.
  stream.on('error', () => {});
  const close = (): void => {
    if (open && descriptor !== undefined) closeSync(descriptor);
    open = false;
  };
  return {
    content: () => (descriptor === undefined ? Buffer.concat(chunks) : path),
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
