import type { Content } from './buildKey.ts';

/** A file of the Debian archive, by its path below the archive's root (`pool/main/…`). */
export interface DebianLocation {
  readonly type: 'debian';
  readonly path: string;
  /** A time at which the Debian snapshot archive has this path: `YYYYMMDDTHHMMSSZ`. */
  readonly snapshot?: string | undefined;
}

/** A file on a web server. */
export interface HttpsLocation {
  readonly type: 'https';
  readonly url: string;
}

/** A file on this machine, relative to the folder of the recipe. */
export interface LocalLocation {
  readonly type: 'local';
  readonly path: string;
}

/** One Go module, checked against its `h1:` (the "Hash1" of golang.org/x/mod/sumdb/dirhash). */
export interface GoModule {
  readonly path: string;
  readonly version: string;
  /** `h1:…` of the module's zip; absent when only its go.mod is needed. */
  readonly zip?: string | undefined;
  /** `h1:…` of the module's go.mod file. */
  readonly mod?: string | undefined;
}

/** A set of Go modules, as a tree in the file layout of GOPROXY (https://go.dev/ref/mod#goproxy-protocol). */
export interface GoModulesLocation {
  readonly type: 'gomod';
  readonly modules: readonly GoModule[];
}

/** The Go toolchain, unpacked from its module zip (`golang.org/toolchain`) to a GOROOT. */
export interface GoToolchainLocation {
  readonly type: 'gotoolchain';
  /** For example `go1.26.8`. */
  readonly version: string;
  readonly h1: string;
}

/** A blob of an OCI registry, by the source's own digest. */
export interface OciLocation {
  readonly type: 'oci';
  /** Host, with a port if it is not the standard one. */
  readonly registry: string;
  readonly repository: string;
}

/** Where a fixed-output source can be had. */
export type Location =
  DebianLocation | OciLocation | HttpsLocation | LocalLocation | GoModulesLocation | GoToolchainLocation;

/** A fixed-output source: a digest that is known beforehand, and places to get it from, best first. */
export interface Source extends Content {
  /** What a person calls it: a file name. */
  readonly name: string;
  /** Bytes, if known; for progress, and refused early if another length is announced. */
  readonly size?: number | undefined;
  readonly locations: readonly Location[];
  /** Where it comes from if it is a vendor blob that somebody has bound to a slot: from the store, and from nowhere else. */
  readonly blob?: { readonly platform: string; readonly slot: string } | undefined;
}
