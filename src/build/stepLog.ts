import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Lines that an error message quotes. */
const TAIL_LINES = 20;
const MAX_LINE = 500;

/** The growing log of a running step. */
export interface StepLog extends AsyncDisposable {
  /** Plain text, as it came. */
  readonly path: string;
  /** Takes the step's output; slow disks slow the step down instead of filling memory. */
  readonly stream: Writable;
  /** The last lines so far, control characters removed. */
  tail(): readonly string[];
  /** Flushes to the file. May be called twice. */
  close(): Promise<void>;
}

/** Opens a log file; `onText` sees everything as text as well, whole characters at a time. */
export async function openStepLog(path: string, onText: (text: string) => void): Promise<StepLog> {
  const file = createWriteStream(path);
  const decoder = new StringDecoder('utf8');
  let recent = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = decoder.write(chunk);
      recent = (recent + text).slice(-TAIL_LINES * MAX_LINE);
      onText(text);
      file.write(chunk, done);
    },
  });
  // A full disk shows up as the failed write of the log; the step is then ended by the executor, which may not be
  // listening at this moment.
  file.on('error', (error) => stream.destroy(error));
  stream.on('error', () => {});
  const close = async (): Promise<void> => {
    if (file.closed) return;
    file.end();
    await finished(file).catch(() => {});
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
    [Symbol.asyncDispose]: close,
  };
}

/** Removes control characters, so that a build cannot play tricks with the terminal of whoever reads its log. */
export function printable(text: string): string {
  return text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
