import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract } from 'tar-stream';
import { LAYER_COMPRESSION } from '../formats/ociImage.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import type { TarStreamEntry } from './debFile.ts';
import { plainPath } from './layout.ts';
import type { PulledLayer } from './lockFile.ts';
import type { PackageEntry } from './packageEntry.ts';
import {
  hardLinked,
  isExecutable,
  isSticky,
  notForImages,
  refuseRoot,
  symlinkTarget,
  type UnpackedFile,
} from './tarEntry.ts';
import { unpackedCounter } from './unpackedLimit.ts';
import { writeBlob } from './writeBlob.ts';

/** A layer to unpack: the file, what the lock says about it, and where contents are left (prefix of file names). */
export interface LayerJob {
  readonly layer: PulledLayer;
  readonly file: string;
  readonly blobPrefix: string;
}

/** What one entry of a layer does to the layers below it. */
export type LayerEntry =
  | PackageEntry
  /** Removes a path of the layers below. */
  | { readonly type: 'whiteout'; readonly path: string }
  /** Removes all that the layers below have in a directory. */
  | { readonly type: 'opaque'; readonly path: string };

// OCI image specification v1.1, "Image Layer Filesystem Changeset", Whiteouts.
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Unpacks one layer as `unpackDeb` does a package: contents go to numbered files, never to a path of the layer's
 * choosing. The layer's digest, and that of its uncompressed tar, are checked on the way.
 *
 * @throws VmbuildError SOURCE_MISMATCH if the file is not the locked layer, IMAGE_ASSEMBLY for what an image cannot hold.
 */
export async function unpackLayer({ layer, file, blobPrefix }: LayerJob): Promise<readonly LayerEntry[]> {
  const stored = sha256Stream();
  const unpacked = sha256Stream();
  try {
    const entries = await readEntries(uncompressed(file, layer, stored, unpacked), blobPrefix);
    expectDigest(file, 'its sha256', stored.digest(), layer.digest);
    expectDigest(file, 'the sha256 of its tar', unpacked.digest(), layer.diffId);
    return entries;
  } catch (error) {
    // A full disk is no fault of the layer.
    if (error instanceof VmbuildError || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new VmbuildError(
      'IMAGE_ASSEMBLY',
      `the layer sha256:${layer.digest} cannot become part of an image: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

type Hash = ReturnType<typeof sha256Stream>;

function uncompressed(file: string, { mediaType }: PulledLayer, stored: Hash, unpacked: Hash): Readable {
  const bytes = createReadStream(file, { highWaterMark: 1024 * 1024 });
  const compression = LAYER_COMPRESSION[mediaType];
  const chain: Transform[] = [tap(stored)];
  if (compression === 'gz') chain.push(createGunzip({ chunkSize: 256 * 1024 }));
  if (compression === 'zst') chain.push(createZstdDecompress({ chunkSize: 256 * 1024 }));
  chain.push(tap(unpacked, unpackedCounter()));
  let last: Readable = bytes;
  for (const next of chain) {
    // pipe() does not pass errors on: without this a damaged layer would wait for ever.
    last.on('error', (error) => next.destroy(error));
    last = last.pipe(next);
  }
  return last;
}

/** Passes everything on, and hashes it, as long as `count` does not throw. */
function tap(hash: Hash, count?: (bytes: Uint8Array) => void): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      try {
        count?.(chunk);
        hash.update(chunk);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

async function readEntries(tar: Readable, blobPrefix: string): Promise<LayerEntry[]> {
  const parser = extract();
  let ended = false;
  tar.on('error', (error) => parser.destroy(error));
  tar.on('end', () => (ended = true));
  tar.pipe(parser);
  let blobs = 0;
  const state: State = { entries: [], files: new Map(), nextBlob: () => `${blobPrefix}${blobs++}` };
  for await (const entry of parser as AsyncIterable<TarStreamEntry>) {
    await readEntry(entry, state);
  }
  // What stands behind the archive's end belongs to the digests as well.
  if (!ended) {
    tar.resume();
    await new Promise<void>((resolve, reject) => tar.on('end', resolve).on('error', reject));
  }
  return state.entries;
}

interface State {
  readonly entries: LayerEntry[];
  /** Files so far, by path, for hard links. */
  readonly files: Map<string, UnpackedFile>;
  /** Name of the file for the next content. */
  readonly nextBlob: () => string;
}

async function readEntry(entry: TarStreamEntry, { entries, files, nextBlob }: State): Promise<void> {
  const { header } = entry;
  const path = plainPath(header.name);
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name.startsWith(WHITEOUT)) {
    entry.resume();
    const folder = path.slice(0, path.length - name.length);
    if (name === OPAQUE) entries.push({ type: 'opaque', path: folder.replace(/\/$/, '') });
    else entries.push({ type: 'whiteout', path: `${folder}${name.slice(WHITEOUT.length)}` });
    return;
  }
  if (header.type !== 'directory') refuseRoot(path, header.name);
  switch (header.type) {
    case 'directory':
      entry.resume();
      entries.push({ type: 'directory', path, sticky: isSticky(header) });
      return;
    case 'file':
    case 'contiguous-file': {
      const file = { blob: nextBlob(), executable: isExecutable(header) };
      await writeBlob(file.blob, entry, file.executable);
      files.set(path, file);
      entries.push({ type: 'file', path, ...file });
      return;
    }
    case 'link': {
      entry.resume();
      const original = hardLinked(header, files, plainPath);
      files.set(path, original);
      entries.push({ type: 'file', path, ...original });
      return;
    }
    case 'symlink':
      entry.resume();
      entries.push({ type: 'symlink', path, target: symlinkTarget(header) });
      return;
    default:
      entry.resume();
      // A step's /dev is the sandbox's own.
      if (path.startsWith('dev/')) return;
      throw notForImages(header);
  }
}

function expectDigest(file: string, what: string, found: Digest, wanted: Digest): void {
  if (found === wanted) return;
  throw new VmbuildError('SOURCE_MISMATCH', `${file} is not the locked layer: ${what} is ${found}, not ${wanted}`);
}
