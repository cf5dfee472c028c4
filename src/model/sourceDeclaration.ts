/** What recipes and platforms say of fixed-output sources; build/resolveSource.ts makes one form of them. */

/** A file of the Debian archive. */
export interface DebianSource {
  readonly type: 'debian';
  /** Below the archive's root: `pool/main/…`. */
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size?: number;
  /** A time at which snapshot.debian.org has it, `YYYYMMDDTHHMMSSZ`. */
  readonly snapshot?: string;
}

/** A file on web servers; `integrity` is a Subresource Integrity string and may stand instead of `sha256`. */
export interface HttpsSource {
  readonly type: 'https';
  readonly urls: readonly string[];
  readonly sha256?: string;
  readonly integrity?: string;
  readonly size?: number;
}

/** A file or tree beside the recipe that is too large for /recipe. */
export interface LocalSource {
  readonly type: 'local';
  /** Relative to the recipe's folder. */
  readonly path: string;
  readonly sha256?: string;
  /** Digest of the canonical tar, if it is a tree. */
  readonly tree?: string;
}

/** Go modules as a tree in the layout of GOPROXY. */
export interface GomodSource {
  readonly type: 'gomod';
  /** A go.sum, relative to the recipe's folder. */
  readonly sum: string;
  /** Digest of the tree's canonical tar. */
  readonly tree: string;
}

/** A Go toolchain as a GOROOT tree, from the module golang.org/toolchain. */
export interface GoToolchainSource {
  readonly type: 'gotoolchain';
  /** For example `go1.26.8`. */
  readonly version: string;
  /** `h1:…` of the module's zip. */
  readonly h1: string;
  /** Digest of the tree's canonical tar. */
  readonly tree: string;
}

export type SourceDeclaration = DebianSource | HttpsSource | LocalSource | GomodSource | GoToolchainSource;
