import { alignUp, FormatError, isFilledWith } from '../formats/binary.ts';
import { type CbfsFile, readCbfs } from '../formats/cbfs.ts';
import { findFlashMap } from '../formats/fmap.ts';
import { hasFlashDescriptor, readFlashDescriptor } from '../formats/ifd.ts';
import type { BlobSlots } from '../model/blobSlot.ts';
import { canonicalJson } from '../model/canonicalJson.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { findFit, type FitPlace, type MaskedFit, maskedFit, withoutFitPointer } from './maskedFit.ts';
import { isCbfsArea } from './parts/openCbfs.ts';
import { areaApart, fileSlot } from './setApart.ts';

/**
 * The masked digest of a flash image: what two people compare who do not have the same vendor blobs. It is the SHA-256 of a
 * document that holds the digest of everything which is ours, and names what is not (docs/inspect.md).
 */
export function maskedDigest(image: Uint8Array, slots: BlobSlots): Digest {
  return sha256(canonicalJson(maskedDocument(image, slots)));
}

/** What is ours of an image, without what depends on vendor blobs. */
export type MaskedDocument = {
  readonly format: 1;
  /** Bytes of the image. */
  readonly size: number;
  readonly slots: readonly string[];
  readonly areas: readonly MaskedArea[];
  /** Digests of what lies outside of all areas. */
  readonly rest: readonly Digest[];
};

/** An area: run-time data, a slot, plain content, or files. */
type MaskedArea = {
  readonly name: string;
  readonly runtime?: true;
  readonly slot?: string;
  readonly content?: Digest;
  readonly files?: readonly MaskedFile[];
  /** What does not add up in the file system, which a sound one has nothing of. */
  readonly stray?: readonly string[];
};

/** A file of a file system. The content is a digest, but for the table of microcode, which stands there itself. */
type MaskedFile = { readonly name: string; readonly header: Digest; readonly content: Digest | MaskedFit };

/**
 * The document that the masked digest is of: the areas of the flash map that hold no other, with their content or their
 * files; the files sorted by name, without their places, and without erased room. Slots and run-time areas stand there by
 * name alone, whether or not there is something in them. An image without a flash map is divided by its descriptor, or else not at all.
 */
export function maskedDocument(bytes: Uint8Array, slots: BlobSlots): MaskedDocument {
  const image: Image = { bytes, fit: findFit(bytes), slots };
  const leaves = leafPlaces(bytes);
  return {
    format: 1,
    size: bytes.length,
    slots: Object.keys(slots).sort(),
    areas: leaves.map((place) => ({ name: place.name, ...maskedArea(image, place) })).sort(byName),
    rest: uncovered(bytes, leaves),
  };
}

/** A place in the image, in bytes; `end` is not in it any more. */
interface Place {
  readonly name: string;
  readonly offset: number;
  readonly end: number;
}

/** What is needed everywhere. */
interface Image {
  readonly bytes: Uint8Array;
  readonly fit: FitPlace | undefined;
  readonly slots: BlobSlots;
}

/** The places that hold no other; of two that are the same, the later one. */
function leafPlaces(image: Uint8Array): readonly Place[] {
  const places = (findFlashMap(image)?.areas ?? regions(image))
    .map(({ name, offset, size }) => ({ name, offset, end: Math.min(offset + size, image.length) }))
    .filter(({ offset, end }) => offset < end);
  if (places.length === 0) return [{ name: '', offset: 0, end: image.length }];
  const isIn = (inner: Place, outer: Place): boolean => outer.offset <= inner.offset && inner.end <= outer.end;
  return places.filter(
    (outer, index) =>
      !places.some((inner, at) => at !== index && isIn(inner, outer) && (at > index || !isIn(outer, inner))),
  );
}

function regions(
  image: Uint8Array,
): readonly { readonly name: string; readonly offset: number; readonly size: number }[] {
  if (!hasFlashDescriptor(image)) return [];
  try {
    return readFlashDescriptor(image).regions;
  } catch (error) {
    if (error instanceof FormatError) return []; // then the image counts as a whole
    throw error;
  }
}

/** Digests of what no place covers, unless it is erased. */
function uncovered(image: Uint8Array, leaves: readonly Place[]): readonly Digest[] {
  const gaps: Uint8Array[] = [];
  let from = 0;
  for (const { offset, end } of leaves.toSorted((a, b) => a.offset - b.offset)) {
    gaps.push(image.subarray(from, Math.max(from, offset)));
    from = Math.max(from, end);
  }
  gaps.push(image.subarray(from));
  return gaps.filter((gap) => !isErased(gap)).map((gap) => sha256(gap));
}

function maskedArea(image: Image, { name, offset, end }: Place): Omit<MaskedArea, 'name'> {
  const { bytes, fit, slots } = image;
  const apart = areaApart(name, slots);
  if (apart === 'runtime') return { runtime: true };
  if (apart !== undefined) return { slot: apart.slot };
  if (isCbfsArea(bytes.subarray(offset, end), name)) return maskedFiles(image, offset, end);
  return { content: sha256(withoutFitPointer(bytes, fit, offset, end)) };
}

function maskedFiles(image: Image, base: number, end: number): Pick<MaskedArea, 'files' | 'stray'> {
  const { bytes, slots } = image;
  const area = bytes.subarray(base, end);
  const files = readCbfs(area);
  const isSlot = ({ name }: CbfsFile): boolean => fileSlot(name, slots) !== undefined;
  const isBlob = (offset: number): boolean => files.some((file) => isSlot(file) && isIn(file, offset - base));
  const ours = files.filter((file) => !isSlot(file) && !isRoom(area, file));
  const stray = strayIn(area, files);
  return {
    files: ours.map((file) => maskedFile(image, base, file, isBlob)).sort(byName),
    ...(stray.length === 0 ? {} : { stray }),
  };
}

function maskedFile(
  { bytes, fit }: Image,
  base: number,
  { name, offset, headerSize, content }: CbfsFile,
  isBlob: (offset: number) => boolean,
): MaskedFile {
  const start = base + offset + headerSize;
  const end = start + content.length;
  return {
    name,
    header: sha256(bytes.subarray(base + offset, start)),
    content:
      fit?.table === start
        ? maskedFit(bytes.subarray(start, end), fit, isBlob)
        : sha256(withoutFitPointer(bytes, fit, start, end)),
  };
}

/** Where a CBFS header says how long it is (commonlib/bsd/cbfs_serialized.h, struct cbfs_file: `offset`). */
const HEADER_SIZE_AT = 20;
const FILE_ALIGNMENT = 64;

/** Files and room follow one another without a gap but for alignment, which is erased. */
function strayIn(area: Uint8Array, files: readonly CbfsFile[]): readonly string[] {
  const stray: string[] = [];
  let end = 0;
  for (const [index, file] of files.entries()) {
    const gap = area.subarray(end, file.offset);
    if (!isErased(gap)) stray.push(sha256(gap));
    end = file.offset + file.headerSize + file.content.length;
    const next = files[index + 1]?.offset ?? area.length;
    const due = isRoom(area, file) ? end : Math.min(area.length, alignUp(end, FILE_ALIGNMENT));
    if (due !== next) stray.push(`gap behind ${file.name}`);
  }
  const gap = area.subarray(end);
  return isErased(gap) ? stray : [...stray, sha256(gap)];
}

/** Free room as cbfstool leaves it: a header that says nothing else, and erased flash. */
function isRoom(area: Uint8Array, { empty, name, offset, headerSize, attributes, content }: CbfsFile): boolean {
  const behindSize = area.subarray(offset + HEADER_SIZE_AT + 4, offset + headerSize);
  return empty && name === '' && attributes.length === 0 && isFilledWith(behindSize, 0) && isErased(content);
}

function isIn({ offset, headerSize, content }: CbfsFile, at: number): boolean {
  return at >= offset && at < offset + headerSize + content.length;
}

function isErased(bytes: Uint8Array): boolean {
  return isFilledWith(bytes, 0xff);
}

/** Strings in the order of their UTF-16 code units, as canonical JSON sorts names. */
function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
