import { type TarEntry, tarHeader, tarPadding } from './tarHeader.ts';

/** Takes what a canonical tar holds, in its order. */
export interface TarSink {
  /** An entry begins; its content follows, if it is a file. */
  readonly entry: (entry: TarEntry) => void;
  /** Bytes of the last file. Only valid during the call. */
  readonly content: (bytes: Uint8Array) => void;
}

const BLOCK = 512;
/** Longest name or link of a long record: what Linux takes (PATH_MAX), with its NUL. */
const MAX_NAME = 4096;
const TYPES: Readonly<Record<string, TarEntry['type'] | undefined>> = { '0': 'file', '2': 'symlink', '5': 'directory' };

/**
 * Reads a canonical tar that comes in pieces of any size, and nothing else: each header must be, to the byte, the one
 * that `tarHeader` writes for the entry, paths must be sorted and lie in directories of the archive. So nothing that
 * another tar could hold gets as far as the sink: no hard link, device, absolute or `..` path, setuid bit, owner or time.
 */
export class TarReader {
  readonly #sink: TarSink;
  /** Bytes of a header or of a name that is not whole yet. */
  #held: Uint8Array[] = [];
  #heldLength = 0;
  /** Header blocks of the entry so far, long records included. */
  #headers: Uint8Array[] = [];
  #name: Buffer | undefined;
  #link: Buffer | undefined;
  #state: 'header' | 'K' | 'L' | 'content' | 'padding' | 'end' = 'header';
  /** Bytes that the state still takes. */
  #left = BLOCK;
  #padding = 0;
  #last: Buffer | undefined;
  readonly #directories = new Set<string>();

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws TypeError that says what is wrong. */
  write(chunk: Uint8Array): void {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#state === 'end') {
        if (rest.some((byte) => byte !== 0)) throw new TypeError('something follows the end of the archive');
        return;
      }
      const taken = rest.subarray(0, this.#left);
      rest = rest.subarray(taken.length);
      this.#left -= taken.length;
      if (this.#state === 'content') this.#sink.content(taken);
      else this.#hold(taken);
      if (this.#left === 0) this.#next();
    }
  }

  /** @throws TypeError if the archive is not whole. */
  end(): void {
    if (this.#state !== 'end') throw new TypeError('the archive ends in the middle');
  }

  #hold(bytes: Uint8Array): void {
    // Copied unless it is whole already: whoever gave it may use it again.
    this.#held.push(this.#left === 0 && this.#heldLength === 0 ? bytes : Uint8Array.from(bytes));
    this.#heldLength += bytes.length;
  }

  #next(): void {
    const held = this.#held.length === 1 ? (this.#held[0] as Uint8Array) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldLength = 0;
    switch (this.#state) {
      case 'header':
        this.#header(Buffer.from(held.buffer, held.byteOffset, held.length));
        break;
      case 'K':
      case 'L': {
        const value = Buffer.from(held.subarray(0, this.#padding));
        this.#headers.push(Uint8Array.from(held));
        if (this.#state === 'K') this.#link = value;
        else this.#name = value;
        this.#take('header', BLOCK);
        break;
      }
      case 'content':
        this.#take(this.#padding > 0 ? 'padding' : 'header', this.#padding || BLOCK);
        break;
      case 'padding':
        if (held.some((byte) => byte !== 0)) throw new TypeError('the space after a file is not empty');
        this.#take('header', BLOCK);
        break;
      case 'end':
    }
  }

  #take(state: 'header' | 'K' | 'L' | 'content' | 'padding' | 'end', bytes: number): void {
    this.#state = state;
    this.#left = bytes;
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      if (this.#last === undefined || this.#headers.length > 0)
        throw new TypeError('the archive ends before it begins');
      this.#take('end', Number.POSITIVE_INFINITY);
      return;
    }
    this.#headers.push(Uint8Array.from(block));
    const size = sizeOf(block);
    const flag = String.fromCharCode(block[156] as number);
    if ((flag === 'K' || flag === 'L') && this.#headers.length <= 3) {
      if (size < 2 || size > MAX_NAME) throw new TypeError('a name is too long');
      this.#padding = size - 1; // what counts of it
      this.#take(flag, size + tarPadding(size).length);
      return;
    }
    const type = TYPES[flag];
    if (type === undefined) throw new TypeError(`an entry is of type ${JSON.stringify(flag)}, which no tree can hold`);
    this.#entry(block, type, size);
  }

  #entry(block: Buffer, type: TarEntry['type'], size: number): void {
    const name = this.#name ?? field(block, 0, 100);
    const target = this.#link ?? field(block, 157, 100);
    const path = checkedPath(name, type);
    const entry: TarEntry = {
      path,
      type,
      mode: Number.parseInt(block.toString('latin1', 100, 107), 8),
      size: type === 'file' ? size : 0,
      ...(type === 'symlink' ? { target: utf8(target) } : {}),
    };
    if (!Buffer.concat(this.#headers).equals(tarHeader(entry))) {
      throw new TypeError(`the entry ${JSON.stringify(path)} is not written as a canonical tar has it`);
    }
    this.#checkPlace(path, type);
    this.#headers = [];
    this.#name = undefined;
    this.#link = undefined;
    this.#sink.entry(entry);
    this.#padding = tarPadding(entry.size).length;
    if (entry.size > 0) this.#take('content', entry.size);
    else this.#take('header', BLOCK);
  }

  /** Sorted, each once, and in a directory that came before. */
  #checkPlace(path: string, type: TarEntry['type']): void {
    const bytes = Buffer.from(path);
    if (this.#last === undefined ? path !== '' || type !== 'directory' : Buffer.compare(this.#last, bytes) >= 0) {
      throw new TypeError(`the entry ${JSON.stringify(path)} is not where a canonical tar has it`);
    }
    if (path !== '' && !this.#directories.has(path.slice(0, Math.max(path.lastIndexOf('/'), 0)))) {
      throw new TypeError(`the entry ${JSON.stringify(path)} is in no directory of the archive`);
    }
    if (type === 'directory') this.#directories.add(path);
    this.#last = bytes;
  }
}

function field(block: Buffer, offset: number, width: number): Buffer {
  const bytes = block.subarray(offset, offset + width);
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

/** Octal, or base 256 from 8 GiB on; that it is written canonically is seen later. */
function sizeOf(block: Buffer): number {
  const size =
    block[124] === 0x80
      ? Number(block.readBigUInt64BE(128))
      : Number.parseInt(block.toString('latin1', 124, 135) || '0', 8);
  if (!Number.isSafeInteger(size)) throw new TypeError('an entry has no size');
  return size;
}

/** The path of `./…` names, the root's being empty. */
function checkedPath(name: Buffer, type: TarEntry['type']): string {
  const text = utf8(name);
  const path = text.slice(2, type === 'directory' && text.length > 2 ? -1 : undefined);
  const parts = path.split('/');
  const sound = path === '' || parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!text.startsWith('./') || !sound || path.includes('\0')) {
    throw new TypeError(`the path ${JSON.stringify(text.slice(0, 200))} leads out of the tree, or is no canonical one`);
  }
  return path;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new TypeError(`the name ${JSON.stringify(bytes.toString('latin1').slice(0, 200))} is not UTF-8`);
  }
}
