import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { Demultiplexer } from '../../../src/executors/docker/demux.ts';

function frame(stream: number, payload: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(Buffer.byteLength(payload), 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

const STREAM = Buffer.concat([frame(1, 'out'), frame(2, 'error'), frame(1, ''), frame(2, 'x'), frame(1, 'last\n')]);

function demultiplexed(...chunks: Buffer[]): Promise<Buffer> {
  return buffer(Readable.from(chunks).compose(new Demultiplexer()));
}

describe('Demultiplexer', () => {
  it('joins both streams, split at any two places', async () => {
    for (let first = 0; first <= STREAM.length; first += 1) {
      for (let second = first; second <= STREAM.length; second += 1) {
        const chunks = [STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)];
        expect((await demultiplexed(...chunks)).toString()).toBe('outerrorxlast\n');
      }
    }
  });

  it('joins them byte by byte', async () => {
    const bytes = Array.from(STREAM, (_, index) => STREAM.subarray(index, index + 1));
    expect((await demultiplexed(...bytes)).toString()).toBe('outerrorxlast\n');
  });

  it('takes any end within a frame for an error, and no other', async () => {
    const ends = [0, 11, 24, 32, 41, 54];
    for (let length = 0; length <= STREAM.length; length += 1) {
      const result = demultiplexed(STREAM.subarray(0, length));
      if (ends.includes(length)) await result;
      else await expect(result).rejects.toThrow('in the middle of the output');
    }
  });

  it('refuses a stream that is neither output nor error', async () => {
    await expect(demultiplexed(frame(3, 'daemon trouble'))).rejects.toThrow('unknown stream 3');
    await expect(demultiplexed(Buffer.from('plain text, no frames'))).rejects.toThrow('unknown stream');
  });

  it('takes no more than its buffers while nobody reads', async () => {
    const demultiplexer = new Demultiplexer();
    const payload = frame(1, 'x'.repeat(1000));
    let written = 0;
    while (demultiplexer.write(payload)) written += payload.length;
    expect(written).toBeLessThan(200_000);
    demultiplexer.resume();
    await once(demultiplexer, 'drain');
  });
});
