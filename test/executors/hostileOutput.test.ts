import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/model/digest.ts';
import type { Client } from './runner/client.ts';
import { makeOutputs, REFUSED_OUTPUTS, STORED_OUTPUTS } from './sandbox/outputs.ts';
import { Clients, SANDBOXES } from './sandbox/sandboxes.ts';

/** VMBUILD_TEST_FILES=1000000 leaves a million, which takes minutes. */
const MANY = Number(process.env['VMBUILD_TEST_FILES'] ?? 300);

/** The digest of the strange tree, from whichever sandbox came first. */
let stored: string | undefined;

describe.each(SANDBOXES)('a hostile output: $title', (sandbox) => {
  describe.skipIf(sandbox.skip)('of a step', () => {
    const clients = new Clients();
    let client: Client;
    beforeAll(async () => {
      client = await clients.client(sandbox);
    });
    afterAll(() => clients[Symbol.asyncDispose]());
    const leave = (program: string) => client.run({ command: ['perl', '-e', program], adopt: true });
    const scratches = () => readdirSync(client.folder).filter((name) => name.startsWith('scratch-'));

    it.each(REFUSED_OUTPUTS)('is refused by name: $name', async (output) => {
      const { artifact, error, result } = await leave(makeOutputs([output]));
      if (output.droppedByDocker && sandbox.executor === 'docker') {
        expect({ error, result }).toEqual({ error: undefined, result: { exitCode: 0, signal: null } });
      } else {
        expect(artifact).toBeUndefined();
        expect(error?.code).toBe('OUTPUT_INVALID');
        expect(error?.message).toMatch(output.says);
      }
      expect(scratches()).toEqual([]);
    });

    it('is stored as a canonical tree, however strange it is, and the same by everybody', async () => {
      const { artifact = '', error, output, result } = await leave(makeOutputs(STORED_OUTPUTS, MANY));
      expect({ error, output, result }).toEqual({
        error: undefined,
        output: '',
        result: { exitCode: 0, signal: null },
      });
      stored ??= artifact;
      expect(artifact).toBe(stored);
      const folder = join(client.folder, 'store', 'artifacts', artifact);
      // Byte for byte what GNU tar makes of it (docs/formats.md).
      const tar = `cd "$0" && find . -print0 | LC_ALL=C sort -z | tar --no-recursion --null -T - --format=gnu -b20 \\
        --hard-dereference --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - `;
      expect(sha256(execFileSync('bash', ['-c', tar, folder], { maxBuffer: 2 ** 30 }))).toBe(artifact);
      expect(lstatSync(folder).mode & 0o7777).toBe(0o755);
      expect(lstatSync(join(folder, 'none')).mode & 0o7777).toBe(0o644);
      expect(lstatSync(join(folder, 'sticky')).mode & 0o7777).toBe(0o755);
      expect(readlinkSync(join(folder, 'dangling'))).toBe('nowhere/at/all');
      expect(readdirSync(join(folder, 'many')).length).toBe(MANY);
      expect(scratches()).toEqual([]);
    });

    it('has no extended attributes, which no digest covers', async () => {
      const set =
        'my ($p, $n, $v) = ("d", "user.x", "y"); syscall(188, $p, $n, $v, 1, 0) == -1 or die "it was set"; print $! + 0';
      expect(await leave(makeOutputs([{ name: '', make: set }]))).toMatchObject({
        output: '95',
        result: { exitCode: 0 },
      });
    });
  });
});
