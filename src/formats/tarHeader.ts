/**
 * Encoder for the GNU variant of tar (GNU tar manual, "Basic Tar Format"), restricted to what a
 * canonical tree needs: owners 0:0 numeric, mtime 0, directories, regular files and symbolic links.
 * The bytes are those that `tar --format=gnu -b20 --numeric-owner` writes (tested against GNU tar).
 */
export interface TarEntry {
  /** Path from the root of the tree with `/` between names; empty for the root itself. */
  readonly path: string;
  readonly type: 'directory' | 'file' | 'symlink';
  /** Permission bits, up to 0o7777. */
  readonly mode: number;
  /** Bytes of content; 0 unless it is a file. */
  readonly size: number;
  /** Target of a symbolic link. */
  readonly target?: string | undefined;
}

const BLOCK = 512;
const RECORD = 20 * BLOCK;
const NAME_FIELD = 100;
const END_OF_MAGIC = 265;
const TYPE_FLAGS = { file: '0', symlink: '2', directory: '5' } as const;

/** The header block(s) of an entry, long-name records included. */
export function tarHeader(entry: TarEntry): Uint8Array {
  const name = Buffer.from(`./${entry.path}${entry.type === 'directory' && entry.path !== '' ? '/' : ''}`);
  const target = Buffer.from(entry.target ?? '');
  const blocks: Uint8Array[] = [];
  // GNU tar writes the long link before the long name.
  if (target.length > NAME_FIELD) blocks.push(...longRecord('K', target));
  if (name.length > NAME_FIELD) blocks.push(...longRecord('L', name));
  blocks.push(headerBlock(name, entry.mode, entry.size, TYPE_FLAGS[entry.type], target));
  return blocks.length === 1 ? (blocks[0] as Uint8Array) : Buffer.concat(blocks);
}

/** Zero bytes that follow `size` bytes of content. */
export function tarPadding(size: number): Uint8Array {
  const rest = size % BLOCK;
  return new Uint8Array(rest === 0 ? 0 : BLOCK - rest);
}

/** The end of an archive of `length` bytes: two zero blocks, then zeros up to a whole record of 20 blocks. */
export function tarTrailer(length: number): Uint8Array {
  const rest = (length + 2 * BLOCK) % RECORD;
  return new Uint8Array(2 * BLOCK + (rest === 0 ? 0 : RECORD - rest));
}

function longRecord(type: 'K' | 'L', value: Uint8Array): Uint8Array[] {
  const content = new Uint8Array(value.length + 1); // with its terminating NUL
  content.set(value);
  const header = headerBlock(Buffer.from('././@LongLink'), 0o644, content.length, type, new Uint8Array());
  return [header, content, tarPadding(content.length)];
}

function headerBlock(name: Uint8Array, mode: number, size: number, type: string, link: Uint8Array): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  block.set(name.subarray(0, NAME_FIELD), 0);
  writeOctal(block, mode, 100, 8);
  writeOctal(block, 0, 108, 8); // uid
  writeOctal(block, 0, 116, 8); // gid
  writeSize(block, size);
  writeOctal(block, 0, 136, 12); // mtime
  block.write(type, 156, 'latin1');
  block.set(link.subarray(0, NAME_FIELD), 157);
  block.write('ustar  \0', 257, 'latin1'); // OLDGNU_MAGIC
  block.fill(0x20, 148, 156); // the checksum counts its own field as spaces
  let sum = 0;
  // What follows the magic is zero. By index: a graph of recipes has hundreds of these, in code that is not optimised yet.
  for (let index = 0; index < END_OF_MAGIC; index += 1) sum += block[index] as number;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function writeOctal(block: Buffer, value: number, offset: number, width: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), offset, 'latin1');
}

/** Sizes from 8 GiB on do not fit 11 octal digits: GNU writes base 256 with the top bit set. */
function writeSize(block: Buffer, size: number): void {
  if (size < 8 ** 11) {
    writeOctal(block, size, 124, 12);
    return;
  }
  block.writeUInt8(0x80, 124);
  block.writeBigUInt64BE(BigInt(size), 128);
}
