import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { VmbuildError } from '../../model/errors.ts';
import { outputCounter } from '../../model/limits.ts';

/**
 * Unpacks what `GET /containers/{id}/archive?path=<folder>` answers: entries whose first component is the folder's own
 * name. `target` is created. Kept as found: exec, setuid and setgid bits of files and directories (the caller judges
 * them), and symbolic links, which are never followed. Everything else about the owner and the mode is not kept: files
 * become readable and directories writable for us. Hard links become copies.
 *
 * Writing is synchronous: it is many times as fast as one promise per file, and the daemon is slower than either.
 *
 * @param limit bytes of files in all; a file that goes beyond is not begun, whatever holes it has.
 * @throws VmbuildError OUTPUT_INVALID that names the first special file, or name that is not UTF-8; LIMIT_OUTPUT.
 */
export async function unpackOutput(
  archive: Readable,
  target: string,
  signal: AbortSignal,
  limit = Infinity,
): Promise<void> {
  const writer = new TreeWriter(target, limit);
  // Names as bytes: the default would turn those that are not UTF-8 into others without a word.
  const entries = extract({ filenameEncoding: 'latin1' } as object); // not in its types
  const fed = pipeline(archive, entries as unknown as NodeJS.WritableStream, { signal });
  fed.catch(() => {}); // it also ends the iteration, or is awaited after it
  try {
    for await (const entry of entries) await writer.write(entry.header, entry as AsyncIterable<Uint8Array>);
    await fed;
  } finally {
    archive.destroy();
  }
}

/** Writes entries below a folder of its own, and never through anything that it did not make as a directory itself. */
class TreeWriter {
  readonly #target: string;
  readonly #directories = new Set<string>();
  /** Path → size. */
  readonly #files = new Map<string, number>();
  readonly #count: (path: string, size: number) => void;

  constructor(target: string, limit: number) {
    this.#target = target;
    this.#count = outputCounter(limit);
  }

  async write(header: Header, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = entryPath(header);
    const place = this.#place(path);
    switch (header.type) {
      case 'directory':
        mkdirSync(place, 0o755);
        this.#directories.add(path);
        chmodSync(place, 0o755 | (specialBits(header) & (path === '' ? 0 : 0o6000)));
        break;
      case 'file':
      case 'contiguous-file':
        this.#count(path, header.size ?? 0);
        await writeFile(place, content);
        this.#files.set(path, header.size ?? 0);
        chmodSync(place, 0o644 | (header.mode & 0o111) | specialBits(header));
        break;
      case 'symlink':
        symlinkSync(utf8Bytes(paxRecord(header, 'linkpath'), header.linkname ?? '', path), place);
        break;
      case 'link':
        this.#copyLink(header, path, place);
        break;
      default:
        throw refused(path, `is a special file (${header.type ?? 'of unknown type'})`);
    }
  }

  #copyLink(header: Header, path: string, place: string): void {
    const first = utf8Bytes(paxRecord(header, 'linkpath'), header.linkname ?? '', path).toString();
    const other = withinRoot(first, path);
    const size = this.#files.get(other);
    if (size === undefined)
      throw refused(path, `is a hard link to ${JSON.stringify(other)}, which is not in the output`);
    this.#count(path, size);
    copyFileSync(`${this.#target}/${other}`, place, constants.COPYFILE_EXCL);
    this.#files.set(path, size);
    // A copy has the mode, but not the setuid bits, of its original.
    chmodSync(place, lstatSync(`${this.#target}/${other}`).mode & 0o7777);
  }

  /** Where an entry goes: only into a directory that this writer made, and only where nothing is yet. */
  #place(path: string): string {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    if (path !== '' && !this.#directories.has(parent)) throw refused(path, 'is not in a directory of the output');
    return path === '' ? this.#target : `${this.#target}/${path}`;
  }
}

function paxRecord(header: Header, name: string): string | undefined {
  return (header.pax as Readonly<Record<string, string>> | null | undefined)?.[name];
}

function specialBits(header: Header): number {
  return header.mode & 0o6000;
}

async function writeFile(place: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openSync(place, 'wx', 0o600); // O_EXCL: never onto or through something that is there
  try {
    for await (const chunk of content) {
      for (let offset = 0; offset < chunk.length;) offset += writeSync(file, chunk, offset);
    }
  } finally {
    closeSync(file);
  }
}

function entryPath(header: Header): string {
  const name = utf8Bytes(paxRecord(header, 'path'), header.name, header.name).toString();
  return withinRoot(name, name);
}

/** The path below the archive's root directory, `''` for itself; refuses what would lead out. */
function withinRoot(name: string, path: string): string {
  const parts = name.replace(/\/+$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    throw refused(path, 'has a path that leads out');
  return parts.slice(1).join('/');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * A name as bytes. The daemon writes names that are not plain ASCII into PAX records, and tar-stream decodes those
 * itself, with U+FFFD for what is not UTF-8. A name that really holds U+FFFD cannot be told from that and is refused
 * too: better than a file under a wrong name.
 */
function utf8Bytes(pax: string | undefined, latin1: string, path: string): Buffer {
  const bytes = pax === undefined ? Buffer.from(latin1, 'latin1') : Buffer.from(pax);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw notUtf8(path);
  }
  if (text.includes('\uFFFD')) throw notUtf8(path);
  return bytes;
}

function notUtf8(path: string): VmbuildError {
  return refused(path, 'holds a name that is not UTF-8');
}

function refused(path: string, why: string): VmbuildError {
  return new VmbuildError(
    'OUTPUT_INVALID',
    `${path === '' ? '/out' : JSON.stringify(path)} ${why}; an artifact cannot hold that`,
  );
}
