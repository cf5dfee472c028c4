import type { HttpOptions } from '../io/httpExchange.ts';
import type { RegistryCredentials } from '../io/registry.ts';
import type { Digest } from '../model/digest.ts';
import type { Location, Source } from '../model/source.ts';

/** Settings of the machine and the user that decide where sources are looked for. */
export interface FetchSettings {
  /** Folders with files under their own names or under their digests; looked at before any network. */
  readonly sourceDirs: readonly string[];
  /**
   * Folders or base URLs that hold files under their digests (`<base>/<sha256>`): a team's own copies. Asked after a
   * source's own locations, but before a registry and the Debian snapshot archive.
   */
  readonly sourceMirrors?: readonly string[] | undefined;
  /** Base URLs of Debian archives, tried after the machine's own apt mirrors. */
  readonly debianMirrors: readonly string[];
  /** Folder in place of `/`, below which apt is configured (`etc/apt`). */
  readonly aptRoot?: string | undefined;
  /** Base URL in front of `/<timestamp>/<path>` in place of the public Debian snapshot archive: a mirror of it. */
  readonly debianSnapshot?: string | undefined;
  /** Overrides GOPROXY of the environment and of the go command. */
  readonly goProxy?: string | undefined;
  /** Registries that speak HTTP without TLS, besides those of this machine. */
  readonly plainRegistries?: readonly string[] | undefined;
  /** Credentials for a registry, if there are any. */
  readonly registryCredentials?: ((registry: string) => RegistryCredentials | undefined) | undefined;
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
  /** What the caches have of a source, asked after the source folders. */
  readonly caches?: ((source: Source) => Promise<readonly Candidate[]>) | undefined;
  /** Other time limits and tries than usual. */
  readonly http?: Partial<Pick<HttpOptions, 'connectTimeout' | 'idleTimeout' | 'tries' | 'backoff'>> | undefined;
}

/**
 * One concrete place to get a source from: a URL, a file, a set of proxies. A location stands for one or more of
 * them; what they give is checked by `fetchSource`, whatever their own checks were.
 */
export interface Candidate {
  /** For people, without secrets: a URL or a path. */
  readonly where: string;
  /** What would be at fault if it fails (the origin of a URL); undefined for what needs no network. */
  readonly host?: string | undefined;
  /** True for a mirror of the Debian archive: if each of them lacks a file, the package is gone. */
  readonly mirror?: boolean | undefined;
  /**
   * Puts the content at `path`, which does not exist yet in a private folder. Returns its digest if it was computed
   * on the way. Need not clean up when it fails.
   */
  readonly fetch: (path: string) => Promise<Digest | undefined>;
}

/** Why a candidate could not even be made, for the list that a failure shows. */
export interface Unusable {
  readonly where: string;
  readonly reason: string;
  /** True for a mirror of the Debian archive that may have the file, but could not be asked. */
  readonly mirror?: boolean | undefined;
}

/** Turns a location into the places that it stands for, best first. */
export type Locate<L extends Location> = (
  source: Source,
  location: L,
  context: FetchContext,
) => Promise<readonly (Candidate | Unusable)[]>;
