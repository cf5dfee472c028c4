import type { ContentReader } from '../../io/contentReader.ts';
import type { Store } from '../openStore.ts';
import type { Finding } from './finding.ts';

/** Whom a check tells, and how it is stopped. */
export interface CheckOptions {
  readonly signal: AbortSignal;
  /** Called with each thing that is wrong, in no particular order. */
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
  /** Threads that read; by default one per core, at most 4: more than a disk can feed helps nobody. */
  readonly threads?: number | undefined;
}

/** How far a check is. */
export interface CheckProgress {
  /** Artifacts, sources and images whose content was read. */
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
}

/** What was looked at. */
export interface CheckSummary {
  readonly artifacts: number;
  readonly sources: number;
  readonly images: number;
  /** Vendor blobs. */
  readonly blobs: number;
  readonly realisations: number;
  readonly logs: number;
  readonly targets: number;
  readonly roots: number;
  /** Bytes whose digests were computed. */
  readonly bytes: number;
}

/** What the parts of a check share. */
export interface Check extends CheckOptions {
  readonly store: Store;
  readonly reader: ContentReader;
}
