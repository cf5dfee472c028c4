/**
 * What one entry of a package becomes in an image. Modes are already reduced: executable or not, sticky
 * and world-writable or not; owners and times are gone.
 */
export type PackageEntry =
  | { readonly type: 'directory'; readonly path: string; readonly sticky: boolean }
  /** `blob` is the file that holds the content now, outside the image; hard links of one file share it. */
  | { readonly type: 'file'; readonly path: string; readonly executable: boolean; readonly blob: string }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

/** An unpacked package: its entries, and what of its control file the assembler needs. */
export interface UnpackedPackage {
  readonly name: string;
  readonly version: string;
  /** The Replaces field: whose files it may overwrite (Debian policy §7.6). */
  readonly replaces: string;
  readonly entries: readonly PackageEntry[];
}
