import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { unpackDeb } from '../../src/images/unpackDeb.ts';
import { unpackedCounter } from '../../src/images/unpackedLimit.ts';
import { temporary } from '../support/temporary.ts';
import { writeDeb } from './debBuilder.ts';

describe('small archives of much', () => {
  it('are given up when more comes out than anybody needs', () => {
    const count = unpackedCounter(1000);
    count(new Uint8Array(600));
    count(new Uint8Array(400));
    expect(() => count(new Uint8Array(1))).toThrow('it unpacks to more than 1000 bytes');
  });

  it('cannot fill the memory through the control file of a package', async () => {
    const folder = await temporary();
    const deb = await writeDeb(folder, { name: 'bomb', control: `X-Nothing: ${'0'.repeat(4 * 1024 * 1024)}\n` });
    expect(deb.size).toBeLessThan(20_000);
    const job = { deb, file: join(folder, deb.sha256), blobPrefix: join(folder, 'blob') };
    await expect(unpackDeb(job)).rejects.toMatchObject({
      code: 'IMAGE_ASSEMBLY',
      message: expect.stringContaining('the control file has 419'),
    });
  });
});
