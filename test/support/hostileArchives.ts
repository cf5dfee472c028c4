import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';

/** An entry of a tar, with whatever somebody may write into it. */
interface RawEntry {
  readonly name: string;
  /** `0` file, `1` hard link, `2` symbolic link, `3` character device, `5` directory, `6` pipe. */
  readonly type?: string;
  readonly content?: string;
  readonly link?: string;
  readonly mode?: number;
  /** What the header says, whatever follows. */
  readonly size?: number;
}

const ROOT: RawEntry = { name: './', type: '5', mode: 0o755 };

/** The header block of an entry in the GNU format, with a right checksum. */
function header({ name, type = '0', content = '', link = '', mode = 0o644, size = content.length }: RawEntry): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, 'latin1');
  for (const [value, offset, width] of [
    [mode, 100, 8],
    [0, 108, 8],
    [0, 116, 8],
    [0, 136, 12],
  ] as const) {
    block.write(value.toString(8).padStart(width - 1, '0'), offset, 'latin1');
  }
  if (size < 8 ** 11) block.write(size.toString(8).padStart(11, '0'), 124, 'latin1');
  else {
    block.writeUInt8(0x80, 124);
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write(type, 156, 'latin1');
  block.write(link, 157, 100, 'latin1');
  block.write('ustar  \0', 257, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A tar of these entries, as they are. */
function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? '');
    return [header(entry), content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  const bytes = Buffer.concat([...blocks, Buffer.alloc(1024)]);
  return Buffer.concat([bytes, Buffer.alloc((10240 - (bytes.length % 10240)) % 10240)]);
}

/** An archive that nobody may unpack. */
interface HostileArchive {
  readonly name: string;
  /** Writes it. */
  readonly write: (place: string) => Promise<void>;
  /** What is said of it. */
  readonly complaint: RegExp;
}

const tarOf = (name: string, entries: readonly RawEntry[], complaint: RegExp): HostileArchive => ({
  name,
  write: (place) => writeFile(place, zstdCompressSync(rawTar([ROOT, ...entries]))),
  complaint,
});

const OUT = /leads out of the tree/;
const TYPE = /is of type .*, which no tree can hold/;

/** Archives that are no canonical tar. They are small, but for those that unpack to much. */
export const HOSTILE_ARCHIVES: readonly HostileArchive[] = [
  tarOf('a path with ../', [{ name: './../escaped' }], OUT),
  tarOf(
    'a path with ../ in the middle',
    [{ name: './a/', type: '5', mode: 0o755 }, { name: './a/../../escaped' }],
    OUT,
  ),
  tarOf('an absolute path', [{ name: '/tmp/escaped' }], OUT),
  tarOf('a link out, and a file through it', [
    { name: './a', type: '2', link: '/tmp', mode: 0o755 },
    { name: './a/escaped', content: 'x' },
  ], /is in no directory of the archive/), // prettier-ignore
  tarOf('a hard link', [{ name: './a', type: '1', link: '/etc/passwd' }], TYPE),
  tarOf('a character device', [{ name: './a', type: '3' }], TYPE),
  tarOf('a block device', [{ name: './a', type: '4' }], TYPE),
  tarOf('a pipe', [{ name: './a', type: '6' }], TYPE),
  tarOf(
    'a setuid bit',
    [{ name: './a', mode: 0o4755 }],
    /is a|setuid|not written as a canonical tar|digest|archive is/,
  ),
  tarOf('an entry twice', [{ name: './a' }, { name: './a' }], /not where a canonical tar has it/),
  tarOf('an extended header', [{ name: './a', type: 'x', content: '20 path=../escaped\n' }], TYPE),
  {
    name: 'no zstd, but the page of a proxy',
    write: (place) => writeFile(place, '<!doctype html><title>Please log in</title>'),
    complaint: /no zstd|damaged/,
  },
  { name: 'nothing at all', write: (place) => writeFile(place, ''), complaint: /ends in the middle|no zstd/ },
  // The tar is canonical, so that nothing but its length is wrong.
  { name: '10 GB of zeros', write: (place) => writeFile(place, zeroBomb(10e9)), complaint: /longer than|more than/ },
  { name: 'a million entries', write: millionEntries, complaint: /longer than|more than/ },
];

/**
 * A file of `size` zeros in zstd, four bytes for each 128 KiB (RFC 8878 §3.1.1: a frame without content size and checksum,
 * a raw block with the headers, then blocks of one repeated byte).
 */
function zeroBomb(size: number): Buffer {
  const head = Buffer.concat([header(ROOT), header({ name: './a', size })]);
  const block = (type: 0 | 1, length: number, last: boolean): Buffer => {
    const bytes = Buffer.alloc(3);
    bytes.writeUIntLE((length << 3) | (type << 1) | Number(last), 0, 3);
    return bytes;
  };
  const LENGTH = 128 * 1024;
  const zeros = Buffer.concat([block(1, LENGTH, false), Buffer.of(0)]);
  // Descriptor 0: no single segment, no checksum, no size; window of 2^17 bytes.
  const frame = [ZSTD_BEGINNING, block(0, head.length, false), head];
  const blocks = Array.from({ length: Math.ceil(size / LENGTH) }, () => zeros);
  return Buffer.concat([...frame, ...blocks, block(1, LENGTH, true), Buffer.of(0)]);
}

/** The beginning of a frame in zstd whose blocks are still to come (RFC 8878 §3.1.1), and a block without content. */
export const ZSTD_BEGINNING = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, (17 - 10) << 3);
export const ZSTD_EMPTY_BLOCK = Buffer.alloc(3);

let million: Promise<Buffer> | undefined;

async function millionEntries(place: string): Promise<void> {
  million ??= makeMillion();
  await writeFile(place, await million);
}

/** Half a gigabyte of headers; only the seven digits of the name and the checksum differ. */
async function makeMillion(): Promise<Buffer> {
  const template = header({ name: './0000000' });
  const sum = Number.parseInt(template.toString('latin1', 148, 154), 8);
  const headers = function* (): Generator<Buffer> {
    yield header(ROOT);
    for (let batch = 0; batch < 1_000_000; batch += 1000) {
      const blocks = Buffer.alloc(512 * 1000);
      for (let index = 0; index < 1000; index++) {
        const name = String(batch + index).padStart(7, '0');
        let digits = 0;
        for (let at = 0; at < 7; at++) digits += name.charCodeAt(at) - 0x30;
        template.copy(blocks, index * 512);
        blocks.write(name, index * 512 + 2, 'latin1');
        blocks.write((sum + digits).toString(8).padStart(6, '0'), index * 512 + 148, 'latin1');
      }
      yield blocks;
    }
    yield Buffer.alloc(10240);
  };
  const stream = Readable.from(headers(), { objectMode: false }).pipe(
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  );
  return buffer(stream);
}
