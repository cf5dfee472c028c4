import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { findCorebootTools } from '../support/corebootTools.ts';
import { allParts, expectAgreement, type JsonPart } from '../support/cbfstool.ts';
import { VMBUILD } from './cli.ts';

/*
 * What the machine's store has of real ROMs. CI runs this again when it has made them, and sets VMBUILD_TEST_REALISED; then
 * a ROM that is missing is a failure.
 */

const required = process.env['VMBUILD_TEST_REALISED'] === '1';
const cbfstool = (await findCorebootTools())?.paths['cbfstool'];

function vmbuild(...args: string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(VMBUILD, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** Why a target cannot be looked at, or undefined. */
function missing(target: string): string | undefined {
  if (cbfstool === undefined) return 'cbfstool is not installed';
  const { status, stdout } = vmbuild('show', target, '--json');
  const artifact: unknown = status === 0 ? (JSON.parse(stdout) as { artifact?: string }).artifact : undefined;
  return artifact === undefined ? 'the store has no such ROM' : undefined;
}

describe.each(['rom-qemu-q35', 'rom-x11sch-f'])('%s', (target) => {
  const reason = required && target === 'rom-qemu-q35' ? undefined : missing(target);
  const title = 'is what cbfstool says it is, and each part is from a recipe';
  it.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (skipped: ${reason})`, () => {
    const { status, stdout } = vmbuild('inspect', target, '--json');
    expect(status).toBe(0);
    const { root, path } = JSON.parse(stdout) as { readonly root: JsonPart; readonly path: string };
    expectAgreement(root, path, cbfstool ?? 'cbfstool');
    const all = allParts(root);
    expect(all.flatMap(({ problems }) => problems)).toEqual([]);
    const platform = target.replace('rom-', '');
    const named = (name: string) => all.find((part) => part.name === name);
    expect(named('kernel')?.from).toEqual({ target: `linux-${platform}`, file: 'bzImage' });
    expect(named('kernel')?.facts['version']).toMatch(/^6\.\d+\.\d+/);
    expect(named('initramfs')?.from).toEqual({ target: 'u-root', file: 'initramfs.cpio.zst' });
    expect(named('lib/firmware/CLOUDHV.fd')?.from).toEqual({ target: 'edk2', file: 'CLOUDHV.fd' });
    expect(named('bbin/bb')?.facts).toMatchObject({ type: 'file', format: 'ELF64' });
    expect(named('fallback/romstage')?.from).toEqual({ target: `coreboot-${platform}`, file: 'coreboot.rom' });
  });
});
