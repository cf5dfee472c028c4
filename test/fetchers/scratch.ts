import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FetchContext, FetchSettings } from '../../src/fetchers/fetcher.ts';
import { removeTree } from '../../src/io/files.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import type { VmbuildError } from '../../src/model/errors.ts';
import type { Location, Source } from '../../src/model/source.ts';
import { FAST } from '../io/loopback.ts';

/** A folder for a test with an empty scratch folder in it, and a context that uses it. */
export interface Scratch extends AsyncDisposable {
  readonly folder: string;
  readonly context: FetchContext;
  /** What onRetry was told. */
  readonly told: string[];
  /** Names in the scratch folder. */
  left(): Promise<string[]>;
}

export async function scratch(
  settings: Partial<FetchSettings> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'vmbuild-fetch-'));
  const inner = await mkdtemp(join(folder, 'scratch-'));
  const told: string[] = [];
  const context: FetchContext = {
    // An empty folder as root: no test may depend on the machine's apt, or reach the network.
    settings: { sourceDirs: [], debianMirrors: [], offline: false, aptRoot: folder, ...settings },
    scratch: inner,
    signal,
    onProgress: () => {},
    onRetry: (message) => told.push(message),
    http: FAST,
  };
  return { folder, context, told, left: () => readdir(inner), [Symbol.asyncDispose]: () => removeTree(folder) };
}

/** A source of kind file with this content. */
export function fileSource(content: string, locations: readonly Location[], more: Partial<Source> = {}): Source {
  return { name: 'file.tar.xz', kind: 'file', digest: sha256(content), locations, ...more };
}

/** A source of kind tree. */
export function treeSource(digest: string, locations: readonly Location[]): Source {
  return { name: 'tree', kind: 'tree', digest: digest as Digest, locations };
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<VmbuildError> {
  return promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${String(value)}`);
    },
    (error: unknown) => error as VmbuildError,
  );
}

export const SOME_DIGEST = sha256('something else');
