import type { DebianSource } from './sourceDeclaration.ts';

/**
 * A vendor's blob as a platform knows it: a slot that somebody fills with a file of their own. The blobs
 * themselves are never in a repository; what is made from one is as restricted as the blob.
 */

/**
 * How far a blob, and whatever is made from it, may travel, from the most to the least:
 * to anybody; into a cache of one's own organisation; nowhere.
 */
export const LICENCE_CLASSES = ['may-be-shared', 'may-be-cached', 'stays-local'] as const;

export type LicenceClass = (typeof LICENCE_CLASSES)[number];

/** What each class means for something, in words. */
export const LICENCE_MEANINGS: Readonly<Record<LicenceClass, string>> = {
  'may-be-shared': 'it may go to anybody',
  'may-be-cached': "it may go into a cache of one's own organisation, and no further",
  'stays-local': 'it must not leave this machine',
};

/** The class of what is made from things of these classes: that of the strictest. */
export function strictest(classes: Iterable<LicenceClass>): LicenceClass {
  return LICENCE_CLASSES[Math.max(0, ...[...classes].map((name) => LICENCE_CLASSES.indexOf(name)))] as LicenceClass;
}

/** Regions of a flash descriptor that a blob can fill, by the names that flashrom and ifdtool use. */
export const DESCRIPTOR_REGIONS = ['fd', 'gbe', 'me'] as const;

/** Files of the file system in the flash (CBFS), by their names. */
interface CbfsPlace {
  readonly cbfs: readonly string[];
  /**
   * What the file is that a person supplies, so that it can be told from others and taken apart. `fsp`: a whole Fsp.fd,
   * whose components become the files `fspt.bin`, `fspm.bin`, `fsps.bin`. `microcode`: updates, one after another.
   */
  readonly holds?: 'fsp' | 'microcode';
  /** Of microcode, the processors to take updates for: `06-9e-0a` (family, model, stepping). */
  readonly processors?: readonly string[];
}

/** What a blob becomes in the flash: files of its file system, or a region of the flash descriptor. */
type BlobPlace = CbfsPlace | { readonly region: (typeof DESCRIPTOR_REGIONS)[number] };

/** A place for a vendor's blob. Its name is its key in `Platform.blobs`. */
export interface BlobSlot {
  /** What it is, and what it is for: one line. */
  readonly what: string;
  readonly licence: LicenceClass;
  /** Where a person gets it: one sentence per way. */
  readonly from: readonly string[];
  /** SHA-256 and bytes of the file, if it is the same for everybody. */
  readonly sha256?: string;
  readonly size?: number;
  /** A package of Debian that has it, and is fetched for whoever binds no file of their own. */
  readonly source?: DebianSource;
  readonly fills: BlobPlace;
  /** Some machines of this kind work without it. */
  readonly optional?: boolean;
}

/** The slots of a platform or of a target that lacks or takes them. */
export type BlobSlots = Readonly<Record<string, BlobSlot>>;
