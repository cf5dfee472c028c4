import { Transform, type TransformCallback } from 'node:stream';

/** Bytes of a frame's header: stream number, three zeros, length of the payload as big-endian 32 bits. */
const HEADER = 8;

/**
 * Takes apart the multiplexed stream of `POST /containers/{id}/attach` without a terminal (Docker Engine API, "Stream
 * format") and passes the payloads of standard output and standard error on as they come, in one stream: that is how a
 * log reads. Frames may be split anywhere. As a Transform it never runs ahead of its reader.
 *
 * It fails if a frame is of an unknown stream, or if the stream ends inside a frame: then output is missing.
 */
export class Demultiplexer extends Transform {
  readonly #header = Buffer.alloc(HEADER);
  #headerLength = 0;
  #payloadLeft = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (let offset = 0; offset < chunk.length;) {
      if (this.#payloadLeft > 0) {
        const payload = chunk.subarray(offset, offset + this.#payloadLeft);
        this.#payloadLeft -= payload.length;
        offset += payload.length;
        this.push(payload);
        continue;
      }
      const count = chunk.copy(this.#header, this.#headerLength, offset, offset + HEADER - this.#headerLength);
      this.#headerLength += count;
      offset += count;
      if (this.#headerLength < HEADER) break;
      // 1 and 2 are standard output and error. 3 is the daemon's own trouble, which must not pass for output.
      const stream = this.#header.readUInt32LE(0);
      if (stream !== 1 && stream !== 2)
        return done(new Error(`the daemon sent a frame of the unknown stream ${stream}`));
      this.#headerLength = 0;
      this.#payloadLeft = this.#header.readUInt32BE(4);
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    const whole = this.#headerLength === 0 && this.#payloadLeft === 0;
    done(whole ? null : new Error('the connection to the daemon ended in the middle of the output'));
  }
}
