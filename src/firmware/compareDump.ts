import type { BlobSlots } from '../model/blobSlot.ts';
import { canonicalJson } from '../model/canonicalJson.ts';
import { compareTrees, type Difference } from './compareTrees.ts';
import { type MaskedDocument, maskedDocument } from './masked.ts';
import type { Part } from './parts/part.ts';
import { readRom } from './parts/readRom.ts';
import { areaApart, fileSlot } from './setApart.ts';

/**
 * What a comparison came to. `same`: every byte. `same-but-apart`: everything that is ours is the same; vendor blobs, what
 * depends on them, or what the machine writes itself are different or absent. `different`: something of ours.
 */
export type Verdict = 'same' | 'same-but-apart' | 'different';

/** A dump beside the image that it should be. */
export interface Comparison {
  readonly verdict: Verdict;
  /** In what is ours; of the image's parts into those of the dump. */
  readonly differences: readonly Difference[];
  /** In what is not, and why that is so. */
  readonly apart: readonly { readonly difference: Difference; readonly why: string }[];
}

/**
 * Compares what was read from a chip with an image. The masked documents of both decide what is ours and whether it is the
 * same; the trees say where, and what is different.
 *
 * @param slots the vendor blobs of the platform.
 */
export function compareDump(image: Uint8Array, dump: Uint8Array, slots: BlobSlots): Comparison {
  // The machine's dump has a flash descriptor, and the image may have none.
  const all = compareTrees(readRom(image, 'image', 'map'), readRom(dump, 'dump', 'map'));
  if (all.length === 0) return { verdict: 'same', differences: [], apart: [] };
  const [ours, theirs] = [image, dump].map((bytes) => maskedDocument(bytes, slots)) as [MaskedDocument, MaskedDocument];
  const verdict = canonicalJson(ours) === canonicalJson(theirs) ? 'same-but-apart' : 'different';
  const [before, after] = [entriesOf(ours), entriesOf(theirs)];
  const differences: Difference[] = [];
  const apart: { difference: Difference; why: string }[] = [];
  for (const difference of all) {
    const entry = entriesAbout(difference).find((key) => before.has(key) || after.has(key)) ?? '';
    if (before.get(entry) !== after.get(entry)) differences.push(difference);
    else apart.push({ difference, why: whyApart(difference, slots) });
  }
  return { verdict, differences, apart };
}

/**
 * What the document says of the image as a whole (no name), of each area (`COREBOOT`), of each file (`COREBOOT/config`), and of
 * what is between files (`COREBOOT/`).
 */
function entriesOf({ size, areas, rest }: MaskedDocument): ReadonlyMap<string, string> {
  const entries = new Map([['', canonicalJson({ size, rest, areas: areas.map(({ name }) => name) })]]);
  const add = (key: string, text: string): void => void entries.set(key, `${entries.get(key) ?? ''}${text}\n`);
  for (const { files, ...area } of areas) {
    add(area.name, canonicalJson({ ...area, files }));
    add(`${area.name}/`, canonicalJson(area));
    for (const file of files ?? []) add(`${area.name}/${file.name}`, canonicalJson(file));
  }
  return entries;
}

/** Which entries may be about it, the closest first. A blob has none of its own, and may still leave a gap behind it. */
function entriesAbout({ path }: Difference): readonly string[] {
  const area = path.findLast(({ kind }) => kind === 'area' || kind === 'region');
  const file = path.find(({ kind }) => kind === 'cbfs-file');
  if (area === undefined) return [];
  return file === undefined ? [plainName(area)] : [`${plainName(area)}/${plainName(file)}`, `${plainName(area)}/`];
}

/** Without the number that tells it from siblings of the same name. */
function plainName({ name }: Part): string {
  return name.replace(/ #\d+$/, '');
}

function whyApart({ path }: Difference, slots: BlobSlots): string {
  for (const { kind, name } of path) {
    const apart = kind === 'area' || kind === 'region' ? areaApart(name, slots) : undefined;
    if (apart !== undefined) return apart === 'runtime' ? 'written by the machine' : `vendor blob ${apart.slot}`;
    const slot = kind === 'cbfs-file' ? fileSlot(name, slots) : undefined;
    if (slot !== undefined) return `vendor blob ${slot}`;
  }
  return 'depends on the vendor blobs';
}
