import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';

/**
 * Bytes of a read and a write. What is sent is copied twice, out of the page cache and into the socket, and this much of it
 * is still in the processor's cache the second time; with more, or less, a second of its time sends less (bench/README.md).
 */
const CHUNK = 256 * 1024;

/** Memory of answers that have ended: new memory for each read costs as much as what is read into it. */
const idle: Buffer[] = [];

/** Buffers that are kept for the next answers. */
const MOST_IDLE = 16;

/**
 * Sends the bytes from `start` to `end`, both included, of a file, and ends the answer, whose header is written. They are read
 * in the event loop: to hand a read to a thread and back takes longer than the read. Nothing is read before the kernel has
 * taken what was read before, so whoever is slow costs one buffer.
 *
 * @throws Error if the file has become shorter, or whoever asked has hung up.
 */
export async function sendFile(path: string, start: number, end: number, response: ServerResponse): Promise<void> {
  await using file = await open(path);
  const buffer = idle.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
  for (let position = start; position <= end;) {
    const count = readSync(file.fd, buffer, 0, Math.min(CHUNK, end + 1 - position), position);
    if (count === 0) throw new Error(`${path} became shorter while it was sent`);
    position += count;
    await taken(response, buffer.subarray(0, count));
  }
  response.end();
  // Not after an error: the socket may still hold it.
  if (idle.length < MOST_IDLE) idle.push(buffer);
}

/** Resolves when the kernel has taken the bytes. */
function taken(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // An answer that waits for its turn on a connection that breaks is told nothing else.
    const hungUp = (): void => reject(new Error('whoever asked has hung up'));
    response.once('close', hungUp);
    response.write(bytes, (error) => {
      response.off('close', hungUp);
      if (error) reject(error);
      else resolve();
    });
  });
}
