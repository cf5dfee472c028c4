import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { type ArMember, readAr } from '../formats/ar.ts';
import { parseDeb822, type Stanza } from '../formats/deb822.ts';
import { type Compression, compressionOf, decompress } from './decompress.ts';
import { unpackedCounter } from './unpackedLimit.ts';

/** The two archives in a binary package, still compressed. */
export interface DebFile {
  readonly control: DebMember;
  readonly data: DebMember;
}

export interface DebMember {
  readonly bytes: Uint8Array;
  readonly compression: Compression;
}

/**
 * Opens a binary package, format 2.0 (deb(5)).
 *
 * @throws TypeError that says what is missing or not supported.
 */
export function openDeb(bytes: Uint8Array): DebFile {
  const members = readAr(bytes);
  const format = Buffer.from(members[0]?.data ?? []).toString('latin1');
  if (members[0]?.name !== 'debian-binary' || !/^2\.\d+\n/.test(format)) {
    throw new TypeError('not a Debian package of format 2.x: its first member must be debian-binary');
  }
  return { control: findMember(members, 'control.tar'), data: findMember(members, 'data.tar') };
}

function findMember(members: readonly ArMember[], stem: string): DebMember {
  const found = members.filter(({ name }) => name === stem || name.startsWith(`${stem}.`));
  const [member] = found;
  if (member === undefined || found.length > 1) throw new TypeError(`${found.length} members named ${stem}.*, not one`);
  const compression = compressionOf(member.name);
  if (compression === undefined) throw new TypeError(`the compression of ${member.name} is not supported`);
  return { bytes: member.data, compression };
}

type Parser = ReturnType<typeof extract>;

/** One entry of a tar: a header, and a stream of its content, which yields bytes though its types do not say so. */
export type TarStreamEntry = Parser extends AsyncIterable<infer Entry> ? Entry & AsyncIterable<Uint8Array> : never;

/** The entries of a compressed tar, in order; each must be read or resumed. Damage and truncation reject. */
export async function* tarEntries(member: DebMember): AsyncGenerator<TarStreamEntry> {
  const parser = extract();
  const source = Readable.from(bounded(decompress(member.bytes, member.compression)), {
    objectMode: true,
    highWaterMark: 2,
  });
  // pipe() does not pass errors on: without this a damaged stream would wait for ever.
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    yield* parser as AsyncIterable<TarStreamEntry>;
  } finally {
    // Whoever stops early must not leave the decoder waiting: it serves one stream at a time.
    source.destroy();
  }
}

async function* bounded(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const count = unpackedCounter();
  for await (const piece of pieces) {
    count(piece);
    yield piece;
  }
}

/** Bytes of the longest control file; Debian's own have some hundred. */
const LONGEST_CONTROL = 1024 * 1024;

/** @throws TypeError if the package has no control file, or one that cannot be read. */
export async function readControl(deb: DebFile): Promise<Stanza> {
  for await (const entry of tarEntries(deb.control)) {
    const { name, type, size } = entry.header;
    if (!/^(\.\/)?control$/.test(name) || type !== 'file') {
      entry.resume();
      continue;
    }
    if (size > LONGEST_CONTROL) throw new TypeError(`the control file has ${size} bytes`);
    const pieces: Uint8Array[] = [];
    for await (const piece of entry) pieces.push(piece);
    const [stanza] = parseDeb822(Buffer.concat(pieces).toString());
    if (stanza !== undefined) return stanza;
  }
  throw new TypeError('the package has no control file');
}
