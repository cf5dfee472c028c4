import { FormatError } from '../formats/binary.ts';
import { readBzImage } from '../formats/bzImage.ts';
import type { BlobSlots } from '../model/blobSlot.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import type { PathDifference } from './diffPaths.ts';
import { isFlash, type Part } from './parts/part.ts';
import { readRom } from './parts/readRom.ts';
import { fileSlot } from './setApart.ts';

/** Where the bytes of a part are from: a file of the artifact of a target, or a vendor blob. */
export type Producer = { readonly target: string; readonly file: string } | { readonly slot: string };

/** A file of an artifact. */
export interface MadeFile {
  readonly target: string;
  readonly name: string;
  readonly digest: Digest;
  readonly size: number;
  readonly read: () => Promise<Uint8Array>;
}

/**
 * Finds out which recipe made the parts of an image, by content: a part that has the bytes of a file of an artifact in the
 * image's build graph is from there. Of a kernel, coreboot keeps the part behind the boot sector; and what coreboot built
 * itself is found in the images that came before this one.
 *
 * @param files of the whole build graph, inputs before what is made of them: who had the bytes first made them.
 */
export async function findProducers(
  root: Part,
  files: readonly MadeFile[],
  slots: BlobSlots,
): Promise<ReadonlyMap<Part, Producer>> {
  const makers = new Map<Digest, Producer>();
  for (const file of files) await learn(file, root, makers);
  const producers = new Map<Part, Producer>();
  const attribute = (part: Part): void => {
    if (part.kind === 'free' || part.content.length === 0) return;
    const slot = part.kind === 'cbfs-file' ? fileSlot(part.name, slots) : undefined;
    const producer = slot === undefined ? makers.get(part.digest) : { slot };
    if (producer !== undefined) producers.set(part, producer);
    if (producer === undefined ? part.kind !== 'cpio-entry' : isComposed(part)) part.parts.forEach(attribute);
  };
  attribute(root);
  return producers;
}

/**
 * Finds for each difference of two files who made what the old one has there: that is where to look for the reason.
 *
 * @param files of everything that the old file was made of, as for findProducers.
 * @returns one for each difference, in their order; undefined where it is not known.
 */
export async function producersOf(
  differences: readonly PathDifference[],
  files: readonly MadeFile[],
): Promise<readonly (Producer | undefined)[]> {
  const known = new Map<Part, ReadonlyMap<Part, Producer>>();
  const found: (Producer | undefined)[] = [];
  for (const { old: [root, ...inner] = [] } of differences) {
    if (root === undefined) {
      found.push(undefined);
      continue;
    }
    const makers = known.get(root) ?? (await findProducers(root, files, {}));
    known.set(root, makers);
    found.push([root, ...inner].map((part) => makers.get(part)).findLast((maker) => maker !== undefined));
  }
  return found;
}

/** True for what several recipes have a part in. The rest is from where it is from, and need not be unpacked to find that out. */
function isComposed(part: Part): boolean {
  return isFlash(part) || part.kind === 'cbfs-file' || (part.kind === 'segment' && part.name === 'initramfs');
}

async function learn(file: MadeFile, root: Part, makers: Map<Digest, Producer>): Promise<void> {
  const producer = { target: file.target, file: file.name };
  const note = (digest: Digest): void => void (makers.has(digest) || makers.set(digest, producer));
  if (makers.has(file.digest)) return;
  note(file.digest);
  if (file.size > root.content.length) return;
  if (file.size === root.content.length) {
    noteFiles(readRom(await file.read(), file.name), note);
  } else if (file.name.startsWith('bzImage')) {
    const kernel = programOf(await file.read());
    if (kernel !== undefined) note(sha256(kernel));
  }
}

/** The files of a flash image's file systems. */
function noteFiles(part: Part, note: (digest: Digest) => void): void {
  if (part.kind === 'cbfs-file') note(part.digest);
  else for (const inner of part.parts) noteFiles(inner, note);
}

/** What a boot loader puts into memory of a bzImage, without the boot sector and setup code before it. */
function programOf(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return bytes.subarray(readBzImage(bytes).setupSize);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
