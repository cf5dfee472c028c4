import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../io/files.ts';
import type { Digest } from '../model/digest.ts';
import type { Source } from '../model/source.ts';
import { claimTree } from '../store/artifacts.ts';
import { scratchPrefix, type Store } from '../store/openStore.ts';
import { claimSource } from '../store/sources.ts';
import { artifactPath, REFRESH_MS, sourcePath } from '../substituters/layout.ts';
import type { ObjectBody, ObjectStore } from '../substituters/objectStore.ts';
import { packArchive } from './packArchive.ts';

/** What uploading needs from its surroundings. */
interface UploadContext {
  readonly store: Store;
  readonly cache: ObjectStore;
  readonly signal: AbortSignal;
  /** Told of each object that was written. */
  readonly onPushed: (path: string, size: number) => void;
}

/** Writes what never changes from a store to a cache: each object once, and only where it is not there already. */
export class Uploads {
  readonly #context: UploadContext;
  readonly #done = new Map<string, Promise<void>>();
  /** Objects written, and found there already. */
  written = 0;
  present = 0;
  /** Bytes written. */
  bytes = 0;

  constructor(context: UploadContext) {
    this.#context = context;
  }

  /** An artifact, or a source that is a tree; false if neither the store nor the cache has it. */
  async tree(digest: Digest): Promise<boolean> {
    const { store, cache, signal } = this.#context;
    const folder = await claimTree(store, digest);
    const path = artifactPath(digest);
    if (folder === undefined) return (await cache.stat(path)) !== undefined;
    await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
    await this.#object(path, () => packArchive(folder, digest, join(scratch.path, 'archive'), signal));
    return true;
  }

  /** A source; false if neither the store nor the cache has it. */
  async source(source: Source): Promise<boolean> {
    if (source.kind === 'tree') return this.tree(source.digest);
    const { store, cache } = this.#context;
    const place = await claimSource(store, source);
    const path = sourcePath(source.digest);
    if (place === undefined) return (await cache.stat(path)) !== undefined;
    const open = (): AsyncIterable<Uint8Array> => createReadStream(place, { highWaterMark: 1024 * 1024 });
    await this.#object(path, async () => ({
      size: (await stat(place)).size,
      sha256: source.digest,
      open,
      path: place,
    }));
    return true;
  }

  /** Writes an object unless the cache has it since not too long ago. Who asks for the same waits for the first. */
  #object(path: string, make: () => Promise<ObjectBody>): Promise<void> {
    let writing = this.#done.get(path);
    if (writing === undefined) this.#done.set(path, (writing = this.#write(path, make)));
    return writing;
  }

  async #write(path: string, make: () => Promise<ObjectBody>): Promise<void> {
    const { cache, onPushed } = this.#context;
    const there = await cache.stat(path);
    if (there !== undefined && (there.writtenAt === undefined || Date.now() - there.writtenAt < REFRESH_MS)) {
      this.present += 1;
      return;
    }
    const body = await make();
    await cache.put(path, body);
    this.written += 1;
    this.bytes += body.size;
    onPushed(path, body.size);
  }
}
