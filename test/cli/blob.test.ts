import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boardProject, platformRecipe } from '../support/boardProject.ts';
import { flashDescriptor, fspComponent, microcodeUpdate } from '../support/firmware.ts';
import { buildSuite, cannotBuild } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { BIOS, CHIP, testRom } from '../support/testRom.ts';
import { type Cli, cliFor } from './cli.ts';

/** What is read from a chip with the vendor's firmware on it. */
function dump(): Buffer {
  return testRom({ me: 'ME' }).fill('VENDOR', BIOS);
}

async function file(content: Uint8Array, name = 'dump.bin'): Promise<string> {
  const path = join(await temporary(), name);
  await writeFile(path, content);
  return path;
}

async function bound(cli: Cli): Promise<readonly string[]> {
  const slots = JSON.parse((await cli.run('blob', 'ls', 'board', '--json')).stdout) as {
    slot: string;
    bound: unknown;
  }[];
  return slots.filter((slot) => slot.bound !== null).map(({ slot }) => slot);
}

describe('vmbuild blob', () => {
  it('binds the regions of a dump to their slots, shows them, and empties slots again', async () => {
    const cli = await cliFor(await boardProject());
    const empty = (await cli.run('blob', 'ls', 'board')).stdout;
    expect(empty).toMatch(
      /me \(stays-local\): it\n {2}empty\n {2}from somewhere\n {2}vmbuild blob add board dump\.bin/,
    );
    const added = await cli.run('blob', 'add', 'board', await file(dump()));
    expect([added.code, added.stderr]).toEqual([0, '']);
    expect(added.stdout).toMatch(/descriptor \(stays-local\)\n {2}fd\.bin .* 4\.0 KiB +at 0x0\n/);
    expect(added.stdout).toMatch(/me \(stays-local\)\n {2}me\.bin .* 380\.0 KiB +at 0x1000\n/);
    expect(await bound(cli)).toEqual(['descriptor', 'me']);
    expect((await cli.run('blob', 'ls', 'board')).stdout).toMatch(/from dump\.bin, sha256 [0-9a-f]{64}, bound /);
    const removed = await cli.run('blob', 'rm', 'board', 'me');
    expect([removed.code, removed.stdout]).toEqual([0, 'me of board: empty\n']);
    expect(await bound(cli)).toEqual(['descriptor']);
    const again = await cli.run('blob', 'rm', 'board', 'me', 'descriptor');
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('nothing is bound to me of board')]);
    expect(await bound(cli)).toEqual(['descriptor']);
  });

  const other = flashDescriptor(CHIP, { 0: [0, 4096], 2: [4096, BIOS - 8192], 1: [BIOS - 4096, CHIP - BIOS + 4096] });
  const overlapping = flashDescriptor(CHIP, { 0: [0, 4096], 2: [4096, BIOS], 1: [BIOS, CHIP - BIOS] });
  const leaving = flashDescriptor(CHIP, { 0: [0, 4096], 2: [4096, BIOS - 4096], 1: [BIOS, CHIP] });
  const withDescriptor = (descriptor: Buffer): Buffer => {
    const bytes = dump();
    descriptor.copy(bytes);
    return bytes;
  };
  it.each([
    [
      'a dump that is cut off',
      dump().subarray(0, CHIP - 4096),
      /has 520192 bytes, and the flash chip has 524288: it is cut off/,
    ],
    ['a dump of another chip', Buffer.concat([dump(), dump()]), /has 1048576 bytes.*a dump of another board/],
    ['a dump of another board', withDescriptor(other), /region bios should be from 0x60000 .* a dump of another board/],
    ['regions that overlap', withDescriptor(overlapping), /the regions me .* and bios .* overlap/],
    [
      'a region that leaves the chip',
      withDescriptor(leaving),
      /the region bios ends at 0xe0000, and the flash at 0x80000/,
    ],
    ['a chip that does not let itself be read', dump().fill(0xff, 4096, BIOS), /the region me is empty/],
    ['a damaged FSP', fspComponent('M', 16384, Buffer.alloc(99)).fill(7, 4200, 4210), /checksum/],
    ['something else', Buffer.from('hello'), /is none of the vendor blobs of board/],
  ])('refuses %s, and binds nothing', async (_, content, message) => {
    const cli = await cliFor(await boardProject());
    const { code, stderr } = await cli.run('blob', 'add', 'board', await file(content));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error BLOB_REFUSED: /)]);
    expect(stderr).toMatch(message);
    expect(await readdir(cli.store)).not.toContain('bindings');
    expect(await bound(cli)).toEqual([]);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('what is made with a blob'), () => {
  it('is as restricted as the blob, through another step as well, and says so', async () => {
    const made = await boardProject();
    await made.write('uses/recipe.ts', platformRecipe({ command: ['bash', '-c', 'cp /in/*.bin /out'] }, true));
    const second = { inputs: { uses: 'uses-board' }, command: ['bash', '-c', 'wc -c /in/uses/me.bin >/out/size'] };
    await made.write('after/recipe.ts', platformRecipe(second));
    const cli = await cliFor(made);
    const lacking = await cli.run('realize', 'after-board');
    expect(lacking.code).toBe(4);
    expect(lacking.stderr).toMatch(
      /error BLOB_MISSING: uses-board needs vendor blobs[^]*vmbuild blob add board Fsp\.fd/,
    );
    const fsp = fspComponent('M', 16384, Buffer.alloc(99));
    expect((await cli.run('blob', 'add', 'board', await file(fsp, 'Fsp.fd'))).code).toBe(0);
    const stillLacking = await cli.run('realize', 'after-board');
    expect(stillLacking.stderr).toMatch(/microcode \(stays-local\)/);
    const microcode = microcodeUpdate(2048, [[0x906ea, 0x22]]);
    expect((await cli.run('blob', 'add', 'board', await file(microcode, 'microcode.bin'))).code).toBe(0);
    expect((await cli.run('blob', 'add', 'board', await file(dump()))).code).toBe(0);
    const { code, stdout } = await cli.run('realize', 'after-board');
    expect(code).toBe(0);
    expect(stdout).toContain('made with vendor blobs: stays-local, it must not leave this machine');
    expect(JSON.parse((await cli.run('show', 'after-board', '--json')).stdout)).toMatchObject({
      licence: 'stays-local',
      realisation: { predicate: { buildDefinition: { internalParameters: { licence: 'stays-local' } } } },
    });
  });
});
