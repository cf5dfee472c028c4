import * as v from 'valibot';
import { isDigest, type Digest } from '../../model/digest.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { firstIssue } from '../../model/recipeSchema.ts';

// What lies where in an exported closure (docs/export.md). `cache/` is laid out as any cache is.

/** The table of contents. */
export const MANIFEST_PATH = 'export.json';

/** Folder with sources, artifacts and statements: a cache in a folder. */
export const CACHE_FOLDER = 'cache';

/** Folder with vmbuild, its dependencies, its Node, its recipes and images. */
export const PROGRAM_PATH = 'program';

/** Folder with the recipes and images of others than vmbuild, numbered in the order of the command line from 1 on. */
export const PROJECT_FOLDER = 'project';

/** Starts the vmbuild in it. */
export const LAUNCHER_PATH = 'vmbuild';

/** Bytes of a manifest at most: some hundred thousand sources. */
const MANIFEST_LIMIT = 64 * 1024 * 1024;

const digest = v.custom<Digest>(isDigest, 'must be a digest');

const schema = v.strictObject({
  format: v.literal(1),
  /** Version of the vmbuild that wrote it. */
  vmbuild: v.string(),
  targets: v.array(v.strictObject({ target: v.string(), derivation: digest })),
  /** Everything that rebuilding needs, image packages included, sorted by digest. */
  sources: v.array(v.strictObject({ name: v.string(), kind: v.picklist(['file', 'tree']), digest })),
  /** What the steps gave where it was exported, inputs first: to compare with, never to rely on. */
  results: v.array(v.strictObject({ target: v.string(), buildKey: digest, artifact: digest })),
  /** What is not in it, and why. */
  leftOut: v.array(v.strictObject({ what: v.string(), why: v.string() })),
});

/** The table of contents of an exported closure. */
export type Manifest = v.InferOutput<typeof schema>;

/** Writes a manifest; the same one always gives the same bytes. */
export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 1)}\n`;
}

/** @throws VmbuildError CLOSURE_INVALID */
export function parseManifest(bytes: Buffer): Manifest {
  let value: unknown;
  try {
    if (bytes.length > MANIFEST_LIMIT) throw new Error(`it is longer than ${MANIFEST_LIMIT} bytes`);
    value = JSON.parse(bytes.toString());
  } catch (error) {
    throw invalidClosure(`${MANIFEST_PATH} cannot be read: ${errorMessage(error)}`);
  }
  const issue = firstIssue(schema, value);
  if (issue !== undefined) throw invalidClosure(`${MANIFEST_PATH}: ${issue}`);
  return value as Manifest;
}

/** The error for what cannot be imported; nothing of it has been taken. */
export function invalidClosure(why: string): VmbuildError {
  return new VmbuildError('CLOSURE_INVALID', `nothing was imported: ${why}`, {
    hints: ['Get the file again, and compare its sha256 with the one that vmbuild export printed.'],
  });
}
