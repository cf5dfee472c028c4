import { crc32, inflateRawSync } from 'node:zlib';

/**
 * Reader for zip archives (PKWARE APPNOTE.TXT 6.3.10), for the subset that Go module zips use: stored and
 * deflated entries, no encryption, no zip64, one disk. It trusts the central directory alone,
 * checks every local header against it, and refuses whatever two readers could understand differently.
 */
export interface ZipEntry {
  /** Relative, `/` between names, without `.`, `..` or empty parts; a directory ends in `/`. */
  readonly name: string;
  /** Bytes when unpacked. */
  readonly size: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly method: 'stored' | 'deflated';
  /** Where the local header begins. */
  readonly offset: number;
}

/** Something that can be read at any place; throws if there are not so many bytes. */
export interface RandomAccess {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** Limits against archives that are small and unpack to much. */
export interface ZipLimits {
  /** The most bytes that all entries together may have when unpacked. */
  readonly totalSize: number;
}

/** The archive is damaged, hostile, or uses what this reader does not support. */
export class ZipError extends Error {
  override readonly name = 'ZipError';
}

const END_SIGNATURE = 0x06054b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_SIZE = 22;
const CENTRAL_SIZE = 46;
const LOCAL_SIZE = 30;
const FLAG_ENCRYPTED = 0x2041; // traditional, strong, and masked local headers

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The entries of an archive in the order of its directory. Throws ZipError; reads no content yet. */
export function listZip(archive: RandomAccess, limits: ZipLimits): ZipEntry[] {
  const end = findEnd(archive);
  const directory = view(archive, end.directoryOffset, end.directorySize);
  const entries: ZipEntry[] = [];
  let position = 0;
  let total = 0;
  while (position < directory.length) {
    if (position + CENTRAL_SIZE > directory.length || directory.readUInt32LE(position) !== CENTRAL_SIGNATURE) {
      throw new ZipError('the directory of the zip is damaged');
    }
    const nameLength = directory.readUInt16LE(position + 28);
    const length =
      CENTRAL_SIZE + nameLength + directory.readUInt16LE(position + 30) + directory.readUInt16LE(position + 32);
    if (position + length > directory.length) throw new ZipError('the directory of the zip is damaged');
    const entry = readCentral(directory.subarray(position, position + length), nameLength);
    total += entry.size;
    if (total > limits.totalSize) throw new ZipError(`the zip unpacks to more than ${limits.totalSize} bytes`);
    entries.push(entry);
    position += length;
  }
  if (entries.length !== end.count) throw new ZipError(`the zip has ${entries.length} entries and says ${end.count}`);
  refuseCollisions(entries);
  return entries;
}

/** The content of one entry, checked for length and CRC-32. Never gives, or allocates, more than the announced size. */
export function readZipEntry(archive: RandomAccess, entry: ZipEntry): Uint8Array {
  const fail = (why: string) => new ZipError(`zip entry ${JSON.stringify(entry.name)}: ${why}`);
  const header = view(archive, entry.offset, LOCAL_SIZE);
  if (header.readUInt32LE(0) !== LOCAL_SIGNATURE) throw fail('no header where the directory says');
  const nameLength = header.readUInt16LE(26);
  const name = view(archive, entry.offset + LOCAL_SIZE, nameLength);
  if (!name.equals(Buffer.from(entry.name))) throw fail('has another name in its own header');
  const start = entry.offset + LOCAL_SIZE + nameLength + header.readUInt16LE(28);
  const packed = view(archive, start, entry.compressedSize);
  let data: Uint8Array = packed;
  if (entry.method === 'deflated') {
    try {
      data = inflateRawSync(packed, { maxOutputLength: Math.max(entry.size, 1) });
    } catch (error) {
      throw fail((error as Error).message);
    }
  }
  if (data.length !== entry.size) throw fail(`has ${data.length} bytes, announced are ${entry.size}`);
  if (crc32(data) !== entry.crc) throw fail('its CRC-32 is wrong');
  return data;
}

function findEnd(archive: RandomAccess): { count: number; directoryOffset: number; directorySize: number } {
  const tailSize = Math.min(archive.size, END_SIZE + 0xffff);
  const tail = view(archive, archive.size - tailSize, tailSize);
  for (let at = tailSize - END_SIZE; at >= 0; at--) {
    // The comment must reach exactly to the end, so that no record hides inside another's comment.
    if (tail.readUInt32LE(at) !== END_SIGNATURE || tail.readUInt16LE(at + 20) !== tailSize - at - END_SIZE) continue;
    const count = tail.readUInt16LE(at + 10);
    const directorySize = tail.readUInt32LE(at + 12);
    const directoryOffset = tail.readUInt32LE(at + 16);
    if (tail.readUInt32LE(at + 4) !== 0 || tail.readUInt16LE(at + 8) !== count) {
      throw new ZipError('zips over several disks are not supported');
    }
    if (count === 0xffff || directorySize === 0xffffffff || directoryOffset === 0xffffffff) {
      throw new ZipError('zip64 is not supported');
    }
    if (directoryOffset + directorySize !== archive.size - tailSize + at) {
      throw new ZipError('the directory of the zip is not where its end says');
    }
    return { count, directoryOffset, directorySize };
  }
  throw new ZipError('not a zip, or cut off');
}

function readCentral(record: Buffer, nameLength: number): ZipEntry {
  const name = decodeName(record.subarray(CENTRAL_SIZE, CENTRAL_SIZE + nameLength));
  const fail = (why: string) => new ZipError(`zip entry ${JSON.stringify(name)}: ${why}`);
  if ((record.readUInt16LE(8) & FLAG_ENCRYPTED) !== 0) throw fail('is encrypted');
  const method = ({ 0: 'stored', 8: 'deflated' } as const)[record.readUInt16LE(10)];
  if (method === undefined) throw fail('is packed with an unsupported method');
  const [crc, compressedSize, size] = [16, 20, 24].map((at) => record.readUInt32LE(at)) as [number, number, number];
  const offset = record.readUInt32LE(42);
  if ([compressedSize, size, offset].includes(0xffffffff)) throw fail('needs zip64, which is not supported');
  if (name.endsWith('/') && size !== 0) throw fail('is a directory with content');
  return { name, size, crc, compressedSize, method, offset };
}

function decodeName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = utf8.decode(bytes);
  } catch {
    throw new ZipError('a name in the zip is not UTF-8');
  }
  const parts = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || /[\u0000-\u001f\u007f\\]/.test(name)) {
    throw new ZipError(`a name in the zip is refused: ${JSON.stringify(name)}`);
  }
  return name;
}

/** Two entries of one name, or a file where another entry needs a directory. */
function refuseCollisions(entries: readonly ZipEntry[]): void {
  const files = new Set<string>();
  for (const { name } of entries) {
    if (files.has(name)) throw new ZipError(`two entries of the zip are called ${JSON.stringify(name)}`);
    files.add(name);
  }
  for (const { name } of entries) {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const parent = name.slice(0, slash);
      if (files.has(parent)) throw new ZipError(`${JSON.stringify(parent)} is a file and a directory in the zip`);
    }
  }
}

function view(archive: RandomAccess, offset: number, length: number): Buffer {
  if (offset < 0 || offset + length > archive.size)
    throw new ZipError('the zip is cut off or points outside of itself');
  const bytes = archive.read(offset, length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
