import { crc32 } from 'node:zlib';

/**
 * Deterministic zip archives (PKWARE APPNOTE.TXT 6.3.10): equal content gives equal bytes, whatever wrote
 * the original. Entries are stored (no deflate implementation gets a say), sorted by the bytes of their names, dated
 * 1980-01-01 00:00, with UTF-8 names and neither extra fields nor attributes nor data descriptors.
 */

const VERSION = 20;
const UTF8_NAMES = 0x0800;
const DOS_DATE = (1 << 5) | 1; // month 1, day 1, year 1980 + 0
const LIMIT = 0xffffffff;

/** Writes one archive: `add` every entry in order, then `end`. Each returns the bytes to append. */
export class ZipWriter {
  private readonly directory: Buffer[] = [];
  private offset = 0;
  private last: Buffer | undefined;

  /**
   * @throws RangeError if `name` does not sort after the one before, or if the archive would need zip64.
   */
  add(name: string, data: Uint8Array): Uint8Array[] {
    const nameBytes = Buffer.from(name);
    if (this.last !== undefined && Buffer.compare(this.last, nameBytes) >= 0) {
      throw new RangeError(`zip entries must be added in order: ${JSON.stringify(name)}`);
    }
    if (this.offset + data.length + nameBytes.length + 30 >= LIMIT || nameBytes.length > 0xffff) {
      throw new RangeError(`too large for a zip without zip64: ${JSON.stringify(name)}`);
    }
    // The 26 bytes from the version to the length of the extra field are the same in both headers.
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(VERSION, 0);
    shared.writeUInt16LE(UTF8_NAMES, 2);
    shared.writeUInt16LE(DOS_DATE, 8); // method 0 (stored) and time 0 stand before it
    shared.writeUInt32LE(crc32(data), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(data.length, 18);
    shared.writeUInt16LE(nameBytes.length, 22);

    const central = Buffer.alloc(46);
    central.write('PK\x01\x02', 'latin1');
    central.writeUInt16LE(VERSION, 4);
    shared.copy(central, 6);
    central.writeUInt32LE(this.offset, 42);
    this.directory.push(central, nameBytes);
    this.last = nameBytes;

    const pieces = [Buffer.from('PK\x03\x04', 'latin1'), shared, nameBytes, data];
    this.offset += 4 + 26 + nameBytes.length + data.length;
    return pieces;
  }

  /** The directory and the end record. */
  end(): Uint8Array[] {
    const directory = Buffer.concat(this.directory);
    const count = this.directory.length / 2;
    if (count >= 0xffff || this.offset + directory.length >= LIMIT)
      throw new RangeError('too large for a zip without zip64');
    const end = Buffer.alloc(22);
    end.write('PK\x05\x06', 'latin1');
    end.writeUInt16LE(count, 8);
    end.writeUInt16LE(count, 10);
    end.writeUInt32LE(directory.length, 12);
    end.writeUInt32LE(this.offset, 16);
    return [directory, end];
  }
}
