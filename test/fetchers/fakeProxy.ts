import { crc32, deflateRawSync } from 'node:zlib';
import { goModHash, hash1 } from '../../src/formats/goModule.ts';
import { ZipWriter } from '../../src/formats/zipWriter.ts';
import { sha256 } from '../../src/model/digest.ts';
import type { GoModule } from '../../src/model/source.ts';

/** A module as a proxy serves it. */
export interface FakeModule {
  readonly path: string;
  readonly version: string;
  readonly goMod: string;
  /** Files of the zip, without the prefix. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** A zip as we write it, of exactly these names. */
export function zipOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const writer = new ZipWriter();
  const pieces = Object.keys(files)
    .sort(byBytes)
    .flatMap((name) => writer.add(name, Buffer.from(files[name] ?? '')));
  return Buffer.concat([...pieces, ...writer.end()]);
}

/** The same content as another program would write it: deflated, in another order, dated, with a comment. */
export function otherZipOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const directory: Buffer[] = [];
  const body: Buffer[] = [];
  let offset = 0;
  for (const name of Object.keys(files).sort(byBytes).reverse()) {
    const data = Buffer.from(files[name] ?? '');
    const packed = deflateRawSync(data);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(0x5a215a21, 6);
    shared.writeUInt32LE(crc32(data), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(data.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const central = Buffer.alloc(46);
    central.write('PK\x01\x02\x14\x03', 'latin1');
    shared.copy(central, 6);
    central.writeUInt32LE(offset, 42);
    directory.push(central, Buffer.from(name));
    const local = [Buffer.from('PK\x03\x04', 'latin1'), shared, Buffer.from(name), packed];
    body.push(...local);
    offset += local.reduce((sum, piece) => sum + piece.length, 0);
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length / 2, 8);
  end.writeUInt16LE(directory.length / 2, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(7, 20);
  return Buffer.concat([...body, ...directory, end, Buffer.from('comment')]);
}

/** Names with the prefix that module zips have. */
export function prefixed({ path, version, files }: FakeModule): Record<string, string | Uint8Array> {
  return Object.fromEntries(Object.entries(files).map(([name, data]) => [`${path}@${version}/${name}`, data]));
}

/** What go.sum says of the module. */
export function sums(module: FakeModule): GoModule & { readonly zip: string; readonly mod: string } {
  const listing = Object.entries(prefixed(module)).map(([name, data]) => ({ name, sha256: sha256(data) }));
  const { path, version, goMod } = module;
  return { path, version, zip: hash1(listing), mod: goModHash(Buffer.from(goMod)) };
}

/** The paths below a proxy's address, for `files()`. `escaped`: the module path as URLs have it. */
export function served(module: FakeModule, escaped = module.path, zip = zipOf): Record<string, string | Uint8Array> {
  const base = `/${escaped}/@v/${module.version}`;
  return { [`${base}.mod`]: module.goMod, [`${base}.zip`]: zip(prefixed(module)) };
}
