import { createReadStream } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Testimony, testimoniesOf, weigh } from '../../attest/testimony.ts';
import type { Trust } from '../../attest/trust.ts';
import { temporaryFolder } from '../../io/files.ts';
import { listTree } from '../../io/tree.ts';
import type { Digest } from '../../model/digest.ts';
import { type Envelope, parseEnvelopes } from '../../model/envelope.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { artifactOf, type Realisation } from '../../model/realisation.ts';
import { adoptTree, findTree } from '../../store/artifacts.ts';
import { scratchPrefix, type Store } from '../../store/openStore.ts';
import { readStored, recordRealisation } from '../../store/realisations.ts';
import { adoptSource, findSource } from '../../store/sources.ts';
import { artifactPath, sourcePath, STATEMENTS_LIMIT, statementsPath } from '../../substituters/layout.ts';
import type { OpenObject } from '../../substituters/objectStore.ts';
import { checkArchive, unpackArchive } from '../unpackArchive.ts';
import { copyHashed } from './copyHashed.ts';
import { CACHE_FOLDER, invalidClosure, type Manifest, MANIFEST_PATH, parseManifest } from './manifest.ts';

/**
 * What unpacks to more than so many times its size is no honest closure: real ones hold what is compressed already, and
 * come to four times. A bomb of zeros has thousands.
 */
const RATIO = 100;

/** Bytes that anything may have, however small its archive is. */
const SMALL = 64 * 1024 * 1024;

/** Files and folders of a closure at most; the program has some thousand, and each source is one. */
const MOST_FILES = 100_000;

/** How an import is to be done. */
export interface ImportOptions {
  readonly store: Store;
  readonly trust: Trust;
  readonly signal: AbortSignal;
}

/** What an import took. */
export interface ImportSummary {
  readonly manifest: Manifest;
  /** Sources and image packages taken, and those that the store had already. */
  readonly sources: number;
  readonly present: number;
  /** Artifacts taken on the word of builders who are trusted. */
  readonly artifacts: number;
  /** Statements that are in it, but of nobody who is trusted, or of too few. */
  readonly notTrusted: number;
}

/** Something that was checked, and is about to be taken into the store. */
interface Staged {
  readonly kind: 'file' | 'tree';
  readonly digest: Digest;
  /** In a scratch folder of the store. */
  readonly path: string;
}

/**
 * Takes an exported closure, the file or the folder that it was unpacked to, into a store. Everything is checked by its
 * digest first; if anything is damaged, missing or not what its name says, nothing is taken. Sources need nobody's word;
 * artifacts are taken on that of builders who are trusted, as from any cache. The program in it is left where it is.
 *
 * @throws VmbuildError CLOSURE_INVALID
 */
export async function readClosure(place: string, options: ImportOptions): Promise<ImportSummary> {
  const { store } = options;
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  try {
    const closure = await openClosure(place, scratch.path, options);
    const manifest = parseManifest(await readWhole(join(closure, MANIFEST_PATH)));
    const cache = join(closure, CACHE_FOLDER);
    const stage = new Stage(cache, scratch.path, options);
    let present = 0;
    for (const source of manifest.sources) {
      if ((await findSource(store, source)) === undefined) await stage.source(source);
      else present += 1;
    }
    const accepted: (readonly Testimony[])[] = [];
    let notTrusted = 0;
    for (const { target, buildKey } of manifest.results) {
      const testimonies = await stage.testimonies(target, buildKey);
      if (testimonies === undefined) notTrusted += 1;
      else if (await stage.artifact(testimonies)) accepted.push(testimonies);
    }
    const before = stage.staged.length;
    for (const staged of stage.staged) await adopt(store, staged);
    for (const testimonies of accepted) await record(store, testimonies);
    const sources = manifest.sources.length - present;
    return { manifest, sources, present, artifacts: before - sources, notTrusted };
  } catch (error) {
    throw explain(error, options.signal);
  }
}

async function openClosure(place: string, scratch: string, { signal }: ImportOptions): Promise<string> {
  const facts = await lstat(place).catch((error: unknown) => {
    throw new VmbuildError('USAGE', `${place} cannot be read: ${errorMessage(error)}`, { cause: error });
  });
  if (facts.isDirectory()) return place;
  const folder = join(scratch, 'closure');
  await unpack(place, folder, { limit: facts.size * RATIO + SMALL, entries: MOST_FILES }, signal);
  return folder;
}

/** How an archive of a closure is bounded. */
interface Bounds {
  /** Bytes of its tar at most. */
  readonly limit: number;
  readonly entries?: number;
  /** Of its tar; undefined if it is not known beforehand. */
  readonly digest?: Digest;
}

/**
 * Unpacks an archive. It is read to its end first, so that nothing of it gets onto the disk unless it is what it should be;
 * what is canonical and still can be no tree, for its links lead out, is refused before anything has been taken.
 */
async function unpack(place: string, folder: string, bounds: Bounds, signal: AbortSignal): Promise<void> {
  const { limit, entries = Number.POSITIVE_INFINITY } = bounds;
  const { digest } = await checkArchive(openFile(place), { limit, entries, signal });
  if (bounds.digest !== undefined && digest !== bounds.digest) {
    throw invalidClosure(`${basename(place)} is damaged: its digest is ${digest}`);
  }
  if ((await unpackArchive(openFile(place), folder, { limit, signal })) !== digest) {
    throw invalidClosure(`${basename(place)} was changed while it was read`);
  }
  listTree(folder);
}

function openFile(place: string): OpenObject {
  const body = createReadStream(place, { highWaterMark: 1024 * 1024 });
  return { body, size: undefined, close: () => void body.destroy() };
}

/** Checks things of a closure, and holds them ready. */
class Stage {
  readonly staged: Staged[] = [];
  readonly #cache: string;
  readonly #scratch: string;
  readonly #options: ImportOptions;
  readonly #trees = new Set<Digest>();

  constructor(cache: string, scratch: string, options: ImportOptions) {
    this.#cache = cache;
    this.#scratch = scratch;
    this.#options = options;
  }

  async source({ name, kind, digest }: Manifest['sources'][number]): Promise<void> {
    if (kind === 'tree') {
      if (!(await this.#tree(digest))) throw invalidClosure(`it lacks the source ${name} (${digest})`);
      return;
    }
    const path = join(this.#scratch, `file-${digest}`);
    const found = await copyHashed(join(this.#cache, sourcePath(digest)), path, this.#options.signal);
    if (found === undefined) throw invalidClosure(`it lacks the source ${name} (${digest})`);
    if (found !== digest) throw invalidClosure(`the source ${name} is damaged: its digest is ${found}, not ${digest}`);
    this.staged.push({ kind, digest, path });
  }

  /** What enough of the trusted say about a build key; undefined if they are too few. */
  async testimonies(target: string, buildKey: Digest): Promise<readonly Testimony[] | undefined> {
    const { trust } = this.#options;
    const envelopes: Envelope[] = [];
    for (const signer of trust.keys.keys()) {
      const path = join(this.#cache, statementsPath(buildKey, signer));
      const bytes = await readWhole(path, STATEMENTS_LIMIT).catch((error: unknown) => {
        if (systemErrorCode(error) === 'ENOENT') return Buffer.alloc(0);
        throw error;
      });
      envelopes.push(...parseEnvelopes(bytes.toString()));
    }
    return weigh(target, buildKey, testimoniesOf(envelopes, buildKey, trust), trust).accepted;
  }

  /** False if the closure was exported without artifacts. */
  async artifact(testimonies: readonly Testimony[]): Promise<boolean> {
    const { statement } = testimonies[0] as Testimony;
    return this.#tree(artifactOf(statement), statement.subject[0]?.annotations.size);
  }

  /** @param limit the most bytes that it may unpack to, if somebody who is trusted has said so. */
  async #tree(digest: Digest, limit?: number): Promise<boolean> {
    if (this.#trees.has(digest)) return true;
    if ((await findTree(this.#options.store, digest)) !== undefined) return true;
    const place = join(this.#cache, artifactPath(digest));
    const facts = await lstat(place).catch(() => undefined);
    if (facts?.isFile() !== true) return false;
    const path = join(this.#scratch, `tree-${digest}`);
    await unpack(place, path, { limit: limit ?? facts.size * RATIO + SMALL, digest }, this.#options.signal);
    this.#trees.add(digest);
    this.staged.push({ kind: 'tree', digest, path });
    return true;
  }
}

async function adopt(store: Store, { kind, digest, path }: Staged): Promise<void> {
  if (kind === 'file') return void (await adoptSource(store, { kind, digest }, path));
  const { digest: found } = await adoptTree(store, path);
  if (found !== digest) throw new VmbuildError('INTERNAL', `a tree was verified as ${digest} but is ${found}`);
}

/** A build on this machine stays on record as that. */
async function record(store: Store, testimonies: readonly Testimony[]): Promise<void> {
  const { statement } = testimonies[0] as { statement: Realisation };
  const key = statement.predicate.buildDefinition.internalParameters.buildKey;
  const before = readStored(store, key);
  if (before !== undefined && before.envelopes === undefined) return;
  const envelopes = [...new Set(testimonies.flatMap(({ envelope }) => envelope ?? []))];
  await recordRealisation(store, statement, envelopes);
}

async function readWhole(path: string, limit = STATEMENTS_LIMIT): Promise<Buffer> {
  const facts = await lstat(path);
  if (!facts.isFile() || facts.size > limit) throw invalidClosure(`${path} is no file, or too long`);
  return readFile(path);
}

/** Whatever is wrong with the content is said of the closure; what the disk refuses is not. */
function explain(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof VmbuildError)
    return ['CACHE_UNUSABLE', 'OUTPUT_INVALID'].includes(error.code) ? invalidClosure(error.message) : error;
  if (error instanceof TypeError) return invalidClosure(error.message);
  if (systemErrorCode(error) === 'ENOENT')
    return invalidClosure(`it is no closure, or not all of one: ${errorMessage(error)}`);
  return error;
}
