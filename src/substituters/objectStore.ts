import type { Digest } from '../model/digest.ts';

/**
 * Where objects are kept by their path: what a folder, a web server, a bucket and a registry have in common. Paths are
 * those of layout.ts. Nothing needs a listing. Failures of the line are HttpErrors, of a disk system errors; refused
 * credentials are VmbuildError CACHE_DENIED.
 */
export interface ObjectStore {
  /** For people: the address without secrets. */
  readonly where: string;
  /** True if asking needs a network. */
  readonly remote: boolean;
  /** A small object, whole; undefined if there is none. @param limit the most bytes that are taken. */
  readonly read: (path: string, limit: number) => Promise<SmallObject | undefined>;
  /** Opens an object for streaming; undefined if there is none. */
  readonly open: (path: string) => Promise<OpenObject | undefined>;
  readonly stat: (path: string) => Promise<ObjectFacts | undefined>;
  /** Writes an object that never changes. It appears whole or not at all, also over one that is there. */
  readonly put: (path: string, body: ObjectBody) => Promise<void>;
  /**
   * Writes a small object that changes, if it still is the one that was read (`version`; undefined: if there is none).
   *
   * @returns false if somebody else was faster.
   */
  readonly replace: (path: string, bytes: Uint8Array, version: string | undefined) => Promise<boolean>;
  /** Everything that lies there, in any order, whatever it is; where the store can tell. */
  readonly list?: () => AsyncIterable<ListedObject>;
  /**
   * Removes something unless it was written at or after the time `before` (milliseconds since 1970); where the store can.
   *
   * @returns false if it stayed.
   */
  readonly collect?: (path: string, before: number) => Promise<boolean>;
}

/** A store that can tell what it has, and remove it. */
export type ListingStore = ObjectStore & Required<Pick<ObjectStore, 'list' | 'collect'>>;

/** Something in a listing. */
export interface ListedObject {
  readonly path: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly writtenAt: number;
}

/** An object in memory. */
interface SmallObject {
  readonly bytes: Buffer;
  /** Tells whether it is still the same; undefined where the server cannot. */
  readonly version: string | undefined;
}

/** An object that is being read; it must be read to its end or closed. */
export interface OpenObject {
  readonly body: AsyncIterable<Uint8Array>;
  /** Bytes, if known. */
  readonly size: number | undefined;
  readonly close: () => void;
}

/** What is known of an object without reading it. */
interface ObjectFacts {
  readonly size: number | undefined;
  /** When it was written, milliseconds since 1970, if known. */
  readonly writtenAt: number | undefined;
}

/** What is to be written; it can be opened more than once. */
export interface ObjectBody {
  readonly size: number;
  /** Of these bytes, whatever the object is named after. */
  readonly sha256: Digest;
  readonly open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** A file with these bytes, if there is one: what copies files need not read them. */
  readonly path?: string;
  /** Nobody relies on that file: it may get a second name instead of being copied. */
  readonly disposable?: boolean;
}
