import type { Location, Source } from '../model/source.ts';

/** Settings of the machine and the user that decide where sources are looked for. */
export interface FetchSettings {
  /** Folders with files under their own names or under their digests; looked at before any network. */
  readonly sourceDirs: readonly string[];
  /** Base URLs of Debian archives, tried after the machine's own apt mirrors. */
  readonly debianMirrors: readonly string[];
  /** Overrides GOPROXY of the environment and of the go command. */
  readonly goProxy?: string | undefined;
  /** True forbids every network access. */
  readonly offline: boolean;
}

/** What a fetch may use and whom it tells. */
export interface FetchContext {
  readonly settings: FetchSettings;
  /** An empty private folder on the store's file system; the result is left in it. The caller removes it. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  /** Bytes so far, and in all if known. */
  readonly onProgress: (received: number, total: number | undefined) => void;
  /** A location failed and the next is tried, or the same once more. */
  readonly onRetry: (message: string) => void;
}

/**
 * Gets the content of a location into the scratch folder and returns its path there. It need not be
 * verified yet, unless the location has a check of its own (a module's `h1:`).
 */
export type Fetch<L extends Location> = (source: Source, location: L, context: FetchContext) => Promise<string>;
