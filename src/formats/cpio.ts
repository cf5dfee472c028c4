import { alignUp, FormatError, hex, slice } from './binary.ts';

/**
 * An entry of an initramfs: Linux, Documentation/driver-api/early-userspace/buffer-format.rst, formats "newc" and "crc".
 * Several archives may follow one another, with zeros between them.
 */
export interface CpioEntry {
  /** As it is written, usually without a leading slash. */
  readonly name: string;
  /** Type and permissions, as in st_mode. */
  readonly mode: number;
  /** `file`, `folder`, `link`, `device`, `pipe`, `socket`. */
  readonly type: string;
  /** Bytes from the beginning of the archive to the entry's header. */
  readonly offset: number;
  /** Bytes of header, name and content, without padding behind them. */
  readonly size: number;
  readonly content: Buffer;
}

const MAGICS = ['070701', '070702'];
const HEADER = 110;
const TRAILER = 'TRAILER!!!';
const TYPES: Readonly<Record<number, string>> = {
  0o01: 'pipe',
  0o02: 'device',
  0o04: 'folder',
  0o06: 'device',
  0o10: 'file',
  0o12: 'link',
  0o14: 'socket',
};

function isCpio(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER && MAGICS.includes(slice(bytes, 0, 6, 'the magic').toString('latin1'));
}

/**
 * The entries of all archives at the beginning of `bytes`, and how many bytes these take; a compressed archive may follow.
 *
 * @throws FormatError if one is damaged or cut off.
 */
export function readCpio(bytes: Uint8Array): { readonly entries: readonly CpioEntry[]; readonly size: number } {
  const entries: CpioEntry[] = [];
  for (let at = 0; ;) {
    const next = skipZeros(bytes, at);
    if (!isCpio(bytes.subarray(next))) return { entries, size: at };
    at = next;
    for (let ended = false; !ended;) {
      const entry = readEntry(bytes, at);
      at = Math.min(bytes.length, alignUp(at + entry.size, 4));
      ended = entry.name === TRAILER;
      if (!ended) entries.push(entry);
    }
  }
}

function readEntry(bytes: Uint8Array, offset: number): CpioEntry {
  const what = `the entry of the archive at ${hex(offset)}`;
  const header = slice(bytes, offset, HEADER, what).toString('latin1');
  if (!MAGICS.includes(header.slice(0, 6)) || !/^[0-9a-f]+$/i.test(header)) throw new FormatError(`${what} is damaged`);
  const field = (index: number): number => parseInt(header.slice(6 + 8 * index, 14 + 8 * index), 16);
  const [mode, contentSize, nameSize] = [field(1), field(6), field(11)];
  const name = slice(bytes, offset + HEADER, nameSize, `the name of ${what}`);
  if (name.length === 0 || name.indexOf(0) !== name.length - 1) throw new FormatError(`${what} has no sound name`);
  const start = alignUp(HEADER + name.length, 4);
  return {
    name: name.toString('utf8', 0, name.length - 1),
    mode,
    type: TYPES[mode >> 12] ?? `mode ${mode.toString(8)}`,
    offset,
    size: start + contentSize,
    content: slice(bytes, offset + start, contentSize, `the content of ${what}`),
  };
}

function skipZeros(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at;
}
