import { alignUp } from '../../src/formats/binary.ts';

/** Small but whole structures of a coreboot ROM, made for tests. */

/** A flash map with areas as [name, offset, size, flags]. */
export function flashMap(size: number, areas: readonly (readonly [string, number, number, number?])[]): Buffer {
  const map = Buffer.alloc(56 + 42 * areas.length);
  map.write('__FMAP__\x01\x01', 'latin1');
  map.writeUInt32LE(size, 18);
  map.write('FLASH', 22, 'latin1');
  map.writeUInt16LE(areas.length, 54);
  areas.forEach(([name, offset, bytes, flags = 0], index) => {
    const at = 56 + 42 * index;
    map.writeUInt32LE(offset, at);
    map.writeUInt32LE(bytes, at + 4);
    map.write(name, at + 8, 'latin1');
    map.writeUInt16LE(flags, at + 40);
  });
  return map;
}

/** A file for `cbfs`. */
export interface CbfsFileSpec {
  readonly name: string;
  readonly type: number;
  readonly content: Uint8Array;
  readonly attributes?: readonly Buffer[];
  /** Bytes of the header, if it is to be longer than it need be. */
  readonly headerSize?: number;
}

/** An attribute of a CBFS file. */
export function cbfsAttribute(tag: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(tag);
  header.writeUInt32BE(8 + data.length, 4);
  return Buffer.concat([header, data]);
}

/** A CBFS of `size` bytes; the room behind the files is one empty file, as cbfstool leaves it. */
export function cbfs(size: number, files: readonly CbfsFileSpec[]): Buffer {
  const area = Buffer.alloc(size, 0xff);
  let at = 0;
  for (const file of files) at = alignUp(at + placeFile(area, at, file), 64);
  placeFile(area, at, { name: '', type: 0xffffffff, content: area.subarray(at + 28, size - 4) });
  return area;
}

/** Writes a file into a CBFS at `at`, and returns how many bytes it takes. */
export function placeFile(area: Buffer, at: number, file: CbfsFileSpec): number {
  const { name, type, content, attributes = [], headerSize = 0 } = file;
  const attributesAt = alignUp(24 + name.length + 1, 4);
  const extra = Buffer.concat(attributes);
  const header = Buffer.alloc(Math.max(headerSize, attributesAt + extra.length));
  header.write('LARCHIVE', 'latin1');
  header.writeUInt32BE(content.length, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(attributes.length === 0 ? 0 : attributesAt, 16);
  header.writeUInt32BE(header.length, 20);
  header.write(name, 24, 'latin1');
  extra.copy(header, attributesAt);
  header.copy(area, at);
  Buffer.from(content).copy(area, at + header.length);
  return header.length + content.length;
}

/** An archive in cpio's "newc" format: name, mode, content. */
export function cpioArchive(entries: readonly (readonly [string, number, string])[]): Buffer {
  const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(alignUp(bytes.length, 4) - bytes.length)]);
  const entry = ([name, mode, content]: readonly [string, number, string]): Buffer => {
    const bytes = Buffer.from(content);
    const fields = [0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    return Buffer.concat([pad(Buffer.from(header, 'latin1')), pad(bytes)]);
  };
  return Buffer.concat([...entries, ['TRAILER!!!', 0, ''] as const].map(entry));
}
