import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import type { LockedDeb } from '../../src/images/lockFile.ts';
import { sha256 } from '../../src/model/digest.ts';

/** An entry of a test package. `name` is written as it is, hostile or not. */
export interface TestEntry {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'character-device' | 'block-device' | 'fifo';
  readonly content?: string | Buffer;
  readonly target?: string;
  readonly mode?: number;
}

export interface TestDeb {
  readonly name: string;
  readonly version?: string;
  readonly entries?: readonly TestEntry[];
  /** Further fields of the control file. */
  readonly control?: string;
  readonly compression?: 'none' | 'gz' | 'xz' | 'zst';
  /** Changes the bytes of data.tar before they are compressed. */
  readonly spoil?: (tar: Buffer) => Buffer;
}

/** An `ar` archive as deb(5) wants it. */
export function arArchive(members: readonly (readonly [string, string | Uint8Array])[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from('!<arch>\n')];
  for (const [name, content] of members) {
    const data = Buffer.from(content);
    const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}`;
    parts.push(Buffer.from(`${header}${String(data.length).padEnd(10)}\`\n`), data);
    if (data.length % 2 === 1) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** A tar of entries, with foreign owners and times in it that must not matter. */
export async function tarArchive(entries: readonly TestEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, type = 'file', content = '', target, mode } of entries) {
    const header = {
      name,
      type,
      mode: mode ?? (type === 'directory' ? 0o755 : 0o644),
      uid: 4242,
      gid: 4243,
      mtime: new Date(1e12),
    };
    archive.entry({ ...header, ...(target === undefined ? {} : { linkname: target }) }, type === 'file' ? content : '');
  }
  archive.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of archive) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

/** Writes a package to `<folder>/<sha256>` and returns what a lock would say of it. */
export async function writeDeb(folder: string, deb: TestDeb): Promise<LockedDeb> {
  const { name, version = '1.0', entries = [], control = '', compression = 'gz', spoil = (tar: Buffer) => tar } = deb;
  const controlFile = `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nDescription: a test\n${control}`;
  const controlTar = await tarArchive([{ name: './control', content: controlFile }]);
  const dataTar = spoil(await tarArchive(entries));
  const suffix = compression === 'none' ? '' : `.${compression}`;
  return storeDeb(
    folder,
    name,
    version,
    arArchive([
      ['debian-binary', '2.0\n'],
      [`control.tar${suffix}`, compress(controlTar, compression)],
      [`data.tar${suffix}`, compress(dataTar, compression)],
    ]),
  );
}

/** Puts the bytes of a package where `debFolder` finds them. */
export function storeDeb(folder: string, name: string, version: string, bytes: Uint8Array): LockedDeb {
  mkdirSync(folder, { recursive: true });
  const digest = sha256(bytes);
  writeFileSync(join(folder, digest), bytes);
  return {
    name,
    version,
    architecture: 'amd64',
    path: `pool/main/${name}_${version}_amd64.deb`,
    size: bytes.length,
    sha256: digest,
  };
}

/** `debPath` for packages that were written with `writeDeb`. */
export function debFolder(folder: string): (deb: LockedDeb) => Promise<string> {
  return (deb) => Promise.resolve(join(folder, deb.sha256));
}

/** Whether this machine can make xz, which Node cannot; what needs it is skipped by name where it is missing. */
export const hasXz = spawnSync('xz', ['--version']).status === 0;

function compress(data: Buffer, compression: NonNullable<TestDeb['compression']>): Buffer {
  if (compression === 'gz') return gzipSync(data);
  if (compression === 'zst') return zstdCompressSync(data, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  // Debian's own setting: an xz with CRC64.
  if (compression === 'xz') return execFileSync('xz', ['-c', '--check=crc64'], { input: data, maxBuffer: 2 ** 28 });
  return data;
}
