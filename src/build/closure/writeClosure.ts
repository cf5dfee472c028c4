import { copyFileSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import PQueue from 'p-queue';
import type { SigningKey } from '../../attest/keys.ts';
import { signStatement } from '../../attest/statements.ts';
import type { FetchSettings } from '../../fetchers/fetcher.ts';
import { readImageLock } from '../../images/lockFile.ts';
import { flush, temporaryFolder } from '../../io/files.ts';
import { LICENCE_MEANINGS, type LicenceClass, strictest } from '../../model/blobSlot.ts';
import type { Digest } from '../../model/digest.ts';
import { type Envelope, formatEnvelopes } from '../../model/envelope.ts';
import { systemErrorCode } from '../../model/errors.ts';
import { artifactOf, licenceOf, type Realisation } from '../../model/realisation.ts';
import type { Source } from '../../model/source.ts';
import { claimTree } from '../../store/artifacts.ts';
import { scratchPrefix, type Store } from '../../store/openStore.ts';
import { readStored } from '../../store/realisations.ts';
import { artifactPath, derivationPath, SIGNERS_PATH, sourcePath, statementsPath } from '../../substituters/layout.ts';
import { partSources } from '../assembleLockedImage.ts';
import type { Step } from '../evaluate.ts';
import type { Emit } from '../events.ts';
import { topologicalOrder } from '../graph.ts';
import { lockPath } from '../images.ts';
import { type Archive, archiveFolder, packArchive } from '../packArchive.ts';
import type { Plan } from '../plan.ts';
import type { ProjectRoot } from '../project.ts';
import { createProvisioner } from '../provision.ts';
import { copyProgram } from './copyProgram.ts';
import { CACHE_FOLDER, formatManifest, type Manifest, MANIFEST_PATH } from './manifest.ts';

/** Trees that are packed at once. */
const PACKINGS = 4;

/** How an export is to be done. */
export interface ExportOptions {
  readonly store: Store;
  /** What the store lacks is fetched. */
  readonly fetch: FetchSettings;
  /** The folders of recipes and images that the targets are from. */
  readonly roots: readonly ProjectRoot[];
  /** Signs the statements of own builds; without a key they are left out. */
  readonly key: SigningKey | undefined;
  /** What was built, too. */
  readonly artifacts: boolean;
  readonly vmbuildVersion: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** What an export wrote. */
export interface ExportSummary {
  readonly archive: Archive;
  readonly manifest: Manifest;
  /** Own builds whose statements were signed. */
  readonly signed: number;
  readonly artifacts: number;
}

/**
 * Writes one file with everything that rebuilding targets takes, offline and on a machine without npm: sources, image packages,
 * recipes, statements, and vmbuild itself; with `artifacts` also what was built. The same store, key and program give the
 * same bytes. What vendor blobs restrict is left out by name.
 *
 * @param place of the file; it appears when it is whole.
 * @throws VmbuildError SOURCE_UNAVAILABLE if a source is neither here nor to be had.
 */
export async function writeClosure(
  targets: readonly Step[],
  plan: Plan,
  place: string,
  options: ExportOptions,
): Promise<ExportSummary> {
  const { store, signal } = options;
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const closure = join(scratch.path, 'closure');
  const cache = join(closure, CACHE_FOLDER);
  mkdirSync(cache, { recursive: true });
  const leftOut: { what: string; why: string }[] = [];
  const sources = await stageSources(topologicalOrder(targets), cache, leftOut, options);
  const results = shareable(plan, leftOut);
  const artifacts = options.artifacts ? await stageArtifacts(results, cache, leftOut, options) : 0;
  const signed = stageStatements(targets, results, cache, leftOut, options);
  copyProgram(closure, options.roots);
  const manifest: Manifest = {
    format: 1,
    vmbuild: options.vmbuildVersion,
    targets: targets.map(({ target, hash }) => ({ target, derivation: hash })),
    sources: sources.map(({ name, kind, digest }) => ({ name, kind, digest })),
    results: results.map(({ step, buildKey, statement }) => ({
      target: step.target,
      buildKey,
      artifact: artifactOf(statement),
    })),
    leftOut,
  };
  writeFileSync(join(closure, MANIFEST_PATH), formatManifest(manifest));
  return { archive: await writeArchive(closure, place, signal), manifest, signed, artifacts };
}

async function writeArchive(closure: string, place: string, signal: AbortSignal): Promise<Archive> {
  const temporary = `${place}.${process.pid}.tmp`;
  try {
    const archive = await archiveFolder(closure, temporary, signal);
    await flush(temporary);
    await rename(temporary, place);
    await flush(dirname(place));
    return archive;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

type LeftOut = { what: string; why: string }[];

/** Sources of all steps, and whatever their images are made of. What the store lacks is fetched into it. */
async function stageSources(
  steps: readonly Step[],
  cache: string,
  leftOut: LeftOut,
  options: ExportOptions,
): Promise<readonly Source[]> {
  const { store, signal, emit, fetch } = options;
  await using provisioner = createProvisioner({ store, fetch, emit, signal });
  const wanted = new Map<Digest, { readonly source: Source; readonly path: () => Promise<string> }>();
  for (const step of steps) {
    for (const [mount, source] of Object.entries(step.sources)) {
      const licence = licenceOfSource(step, mount, source);
      if (licence !== undefined) leftOut.push({ what: `${source.name} of ${step.target}`, why: licence });
      else wanted.set(source.digest, { source, path: () => provisioner.source(source) });
    }
    for (const source of partSources(await readImageLock(lockPath(step.image.folder)))) {
      wanted.set(source.digest, { source, path: () => provisioner.package(source) });
    }
  }
  const queue = new PQueue({ concurrency: PACKINGS });
  await queue.addAll(
    [...wanted.values()].map(({ source, path }) => async () => {
      signal.throwIfAborted();
      const found = await path();
      if (source.kind === 'tree')
        await packArchive(found, source.digest, placeIn(cache, artifactPath(source.digest)), signal);
      else linkOrCopy(found, placeIn(cache, sourcePath(source.digest)));
    }),
  );
  return [...wanted.values()].map(({ source }) => source).sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** Why a source stays here; undefined if it may go to anybody. */
function licenceOfSource({ takes }: Step, mount: string, source: Source): string | undefined {
  if (source.blob !== undefined) return `a vendor blob, bound to ${source.blob.slot} of ${source.blob.platform}`;
  // A package of Debian that fills a slot is mounted under the slot's name (takeBlobs.ts).
  const licence = takes[mount.replace(/\.deb$/, '')]?.licence ?? 'may-be-shared';
  return licence === 'may-be-shared' ? undefined : restricted(licence);
}

const restricted = (licence: LicenceClass): string =>
  `made with vendor blobs: ${licence}, ${LICENCE_MEANINGS[licence]}`;

/** A step whose result anybody may have. */
interface Result {
  readonly step: Step;
  readonly buildKey: Digest;
  readonly statement: Realisation;
}

function shareable(plan: Plan, leftOut: LeftOut): readonly Result[] {
  const results: Result[] = [];
  for (const { step, buildKey, statement } of plan) {
    if (statement === undefined || buildKey === undefined) continue;
    const licence = strictest([step.licence, licenceOf(statement)]);
    if (licence === 'may-be-shared') results.push({ step, buildKey, statement });
    else leftOut.push({ what: step.target, why: restricted(licence) });
  }
  return results;
}

async function stageArtifacts(
  results: readonly Result[],
  cache: string,
  leftOut: LeftOut,
  { store, signal }: ExportOptions,
): Promise<number> {
  const packed = new Set<Digest>();
  for (const { step, statement } of results) {
    const digest = artifactOf(statement);
    if (packed.has(digest)) continue;
    const folder = await claimTree(store, digest);
    if (folder === undefined) {
      leftOut.push({ what: `the artifact of ${step.target}`, why: 'it is not in the store' });
      continue;
    }
    await packArchive(folder, digest, placeIn(cache, artifactPath(digest)), signal);
    packed.add(digest);
  }
  return packed.size;
}

/** Statements as in any cache: what others have signed, and own builds if there is a key. */
function stageStatements(
  targets: readonly Step[],
  results: readonly Result[],
  cache: string,
  leftOut: LeftOut,
  { store, key }: ExportOptions,
): number {
  let signed = 0;
  const all = new Map<Digest, readonly Envelope[]>();
  for (const { step, buildKey, statement } of results) {
    let envelopes = readStored(store, buildKey)?.envelopes;
    if (envelopes === undefined && key !== undefined) {
      envelopes = [signStatement(statement, key)];
      signed += 1;
    }
    if (envelopes === undefined) continue;
    all.set(step.hash, envelopes);
    for (const signer of new Set(envelopes.flatMap(({ signatures }) => signatures.map(({ keyid }) => keyid)))) {
      const own = envelopes.filter(({ signatures }) => signatures.some(({ keyid }) => keyid === signer));
      writeFileSync(placeIn(cache, statementsPath(buildKey, signer)), formatEnvelopes(own));
    }
  }
  if (all.size < results.length) {
    leftOut.push({
      what: `${results.length - all.size} statements of own builds`,
      why: 'there is no key to sign them with',
    });
  }
  if (key === undefined) return signed;
  const { id, text } = key.publicKey;
  for (const target of targets) {
    const envelopes = topologicalOrder([target]).flatMap(({ hash }) => all.get(hash) ?? []);
    writeFileSync(placeIn(cache, derivationPath(target.hash, id)), formatEnvelopes(envelopes));
  }
  writeFileSync(placeIn(cache, SIGNERS_PATH), `${JSON.stringify({ [id]: text }, null, 1)}\n`);
  return signed;
}

function placeIn(cache: string, path: string): string {
  const place = join(cache, path);
  mkdirSync(dirname(place), { recursive: true });
  return place;
}

/** A second name costs nothing; where the kernel refuses one, because the file is somebody else's, it is a copy. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!['EPERM', 'EXDEV', 'EMLINK'].includes(systemErrorCode(error) ?? '')) throw error;
    copyFileSync(from, to);
  }
}
