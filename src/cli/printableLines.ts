import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { printable } from '../model/printable.ts';

/** Longest line that is waited for; a longer one is passed on in pieces. */
const LONGEST = 64 * 1024;

/** Text in, the same text without control characters out; line by line, since a sequence may be split between chunks. */
export class PrintableLines extends Transform {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const text = this.#rest + this.#decoder.write(chunk);
    const end = text.length > LONGEST ? text.length : text.lastIndexOf('\n') + 1;
    this.#rest = text.slice(end);
    this.push(printable(text.slice(0, end)));
    done();
  }

  override _flush(done: () => void): void {
    this.push(printable(this.#rest + this.#decoder.end()));
    done();
  }
}
