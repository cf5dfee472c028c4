import { type TarEntry, tarHeader, tarPadding, tarTrailer } from '../formats/tarHeader.ts';
import { sha256 } from '../model/digest.ts';
import { listTree, packTree } from './tree.ts';

/** An image as `docker load` wants it. */
export interface DockerImage {
  /** Folder with the unpacked root file system. */
  readonly rootfs: string;
  /** The OCI config as JSON text, byte for byte: its sha256 becomes the image id. */
  readonly config: string;
  /** Names under which the daemon lists the image, as `name:tag`. May be empty. */
  readonly tags: readonly string[];
}

/** Bytes per piece of an archive: large enough that the number of pieces does not matter, small enough to hold a few. */
const PIECE = 256 * 1024;

/**
 * The archive that `docker load` reads (Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset
 * Format"): manifest.json, `<sha256 of config>.json`, and one layer, which is the canonical tar of the root. Nothing
 * is held in memory but one piece, and nothing is read before it is asked for.
 *
 * The daemon checks the layer against the config's diff_ids itself, and names the image `sha256:<sha256 of config>`.
 *
 * @throws VmbuildError OUTPUT_INVALID if the root holds what an image cannot.
 */
export async function* dockerArchive(image: DockerImage): AsyncGenerator<Uint8Array, void, undefined> {
  yield* inPieces(archiveParts(image));
}

function* archiveParts({ rootfs, config, tags }: DockerImage): Generator<Uint8Array> {
  const configName = `${sha256(config)}.json`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [...tags], Layers: ['layer.tar'] }]);
  const entries = listTree(rootfs, 'image');
  let length = 0;
  const files = [...smallFile('manifest.json', manifest), ...smallFile(configName, config)];
  for (const part of [...files, fileHeader('layer.tar', packedSize(entries))]) {
    length += part.length;
    yield part;
  }
  let layer = 0;
  for (const part of packTree(rootfs, entries)) {
    layer += part.length;
    yield part;
  }
  // A canonical tar fills whole records, so no padding stands between it and the end.
  yield tarTrailer(length + layer);
}

/** The size of the canonical tar of a listed folder, without reading its files. */
function packedSize(entries: readonly TarEntry[]): number {
  let size = 0;
  for (const entry of entries) {
    size += tarHeader(entry).length;
    if (entry.type === 'file') size += entry.size + tarPadding(entry.size).length;
  }
  return size + tarTrailer(size).length;
}

/**
 * Joins many small parts, each valid only until the next is asked for, into fewer fresh pieces that may wait in a
 * stream's queue. The last piece may be shorter.
 */
export function* inPieces(parts: Iterable<Uint8Array>, size = PIECE): Generator<Uint8Array> {
  let piece = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for (const part of parts) {
    for (let offset = 0; offset < part.length;) {
      const count = Math.min(part.length - offset, size - filled);
      piece.set(part.subarray(offset, offset + count), filled);
      offset += count;
      filled += count;
      if (filled < size) continue;
      yield piece;
      piece = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

function fileHeader(path: string, size: number): Uint8Array {
  return tarHeader({ path, type: 'file', mode: 0o644, size });
}

function smallFile(path: string, text: string): Uint8Array[] {
  const content = Buffer.from(text);
  return [fileHeader(path, content.length), content, tarPadding(content.length)];
}
