import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  OCI_LAYOUT,
  OCI_MEDIA_TYPES,
  type OciDescriptor,
  ociDescriptor,
  ociIndex,
  ociManifest,
} from '../formats/ociImage.ts';
import { dockerArchive, inPieces } from '../io/dockerArchive.ts';
import { listTree, packTree } from '../io/tree.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { AssembledImage } from './assemble.ts';

/** How an export is told to stop, and how the image is called in it. */
export interface ExportOptions {
  /** `name:tag`; becomes the reference of an OCI layout, and the name that `docker load` gives. */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes an image as an OCI image layout (image-layout.md of the specification): `oci-layout`, `index.json` and
 * `blobs/sha256/`, with an uncompressed layer. The same image gives the same files.
 *
 * @param outDir a new or empty folder.
 * @returns digest of the manifest, a locator for registries; the image's name stays the digest of its config.
 * @throws VmbuildError USAGE if the folder is not empty, STORE_DAMAGED if the root file system is no longer the image's.
 */
export async function exportOciLayout(
  image: Omit<AssembledImage, 'digest'>,
  outDir: string,
  { name, signal }: ExportOptions = {},
): Promise<Digest> {
  const blobs = join(outDir, 'blobs', 'sha256');
  await refuseNonEmpty(outDir);
  try {
    await mkdir(blobs, { recursive: true });
    const layer = await writeLayer(image, blobs, signal);
    const config = ociDescriptor(OCI_MEDIA_TYPES.config, image.config);
    const manifestText = ociManifest(config, [layer]);
    const manifest = ociDescriptor(OCI_MEDIA_TYPES.manifest, manifestText);
    await writeFile(join(blobs, config.digest), image.config);
    await writeFile(join(blobs, manifest.digest), manifestText);
    await writeFile(join(outDir, 'oci-layout'), OCI_LAYOUT);
    // Last: a folder without an index is no layout, so an export that was cut off cannot pass for one.
    await writeFile(join(outDir, 'index.json'), ociIndex(manifest, name));
    return manifest.digest;
  } catch (error) {
    // It was empty, and a part of a layout would stand in the way of the next export.
    for (const made of ['blobs', 'oci-layout', 'index.json'])
      await rm(join(outDir, made), { recursive: true, force: true });
    throw explainWriting(error, outDir);
  }
}

/**
 * Writes the archive that `docker load` reads. It appears under its name only when it is whole.
 *
 * @throws VmbuildError DISK_FULL, or USAGE if it cannot be written there; the signal's reason when aborted.
 */
export async function exportDockerArchive(
  image: Pick<AssembledImage, 'rootfs' | 'config'>,
  outFile: string,
  { name, signal }: ExportOptions = {},
): Promise<void> {
  const temporary = `${outFile}.${process.pid}.tmp`;
  try {
    const tags = name === undefined ? [] : [name];
    const archive = dockerArchive({ rootfs: image.rootfs, config: image.config, tags });
    const file = createWriteStream(temporary, { flags: 'wx' });
    await pipeline(Readable.from(archive, { objectMode: true }), file, { ...(signal && { signal }) });
    await rename(temporary, outFile);
  } catch (error) {
    await rm(temporary, { force: true });
    signal?.throwIfAborted();
    throw explainWriting(error, outFile);
  }
}

/** Where an export goes was named by a person; it is no place of the store. */
function explainWriting(error: unknown, destination: string): unknown {
  const code = systemErrorCode(error);
  if (error instanceof VmbuildError || code === undefined) return error;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new VmbuildError(full ? 'DISK_FULL' : 'USAGE', `${destination} cannot be written: ${errorMessage(error)}`, {
    cause: error,
    hints: ['Choose another place.'],
  });
}

async function writeLayer(
  { rootfs, layerDigest }: Pick<AssembledImage, 'rootfs' | 'layerDigest'>,
  blobs: string,
  signal: AbortSignal | undefined,
): Promise<OciDescriptor> {
  const path = join(blobs, layerDigest);
  const hash = sha256Stream();
  let size = 0;
  await using file = await open(path, 'wx', 0o644);
  for (const piece of inPieces(packTree(rootfs, listTree(rootfs, 'image')), 1024 * 1024)) {
    signal?.throwIfAborted();
    hash.update(piece);
    size += piece.length;
    await file.writeFile(piece);
  }
  const digest = hash.digest();
  if (digest !== layerDigest) {
    throw new VmbuildError(
      'STORE_DAMAGED',
      `the root file system at ${rootfs} is not the image's: its layer would be ${digest}, not ${layerDigest}`,
    );
  }
  return { mediaType: OCI_MEDIA_TYPES.layer, digest, size };
}

async function refuseNonEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  if (names.length > 0) throw new VmbuildError('USAGE', `${folder} is not empty; an export wants a new folder`);
}
