/**
 * A vendor's blob as a platform knows it: a slot that somebody fills with a file of their own. The blobs
 * themselves are never in a repository; what is made from one is as restricted as the blob.
 */

/**
 * How far a blob, and whatever is made from it, may travel, from the most to the least:
 * to anybody; into a cache of one's own organisation; nowhere.
 */
export const LICENCE_CLASSES = ['may-be-shared', 'may-be-cached', 'stays-local'] as const;

type LicenceClass = (typeof LICENCE_CLASSES)[number];

/** Regions of a flash descriptor that a blob can fill, by the names that flashrom and ifdtool use. */
export const DESCRIPTOR_REGIONS = ['fd', 'gbe', 'me'] as const;

/** What a blob becomes in the flash: files of the file system in the flash (CBFS), or a region of the flash descriptor. */
type BlobPlace = { readonly cbfs: readonly string[] } | { readonly region: (typeof DESCRIPTOR_REGIONS)[number] };

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
  readonly fills: BlobPlace;
  /** Some machines of this kind work without it. */
  readonly optional?: boolean;
}

/** The slots of a platform or of a target that lacks them. */
export type BlobSlots = Readonly<Record<string, BlobSlot>>;
