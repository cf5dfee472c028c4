import { type Digest, isDigest, sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { ObjectBody } from './objectStore.ts';

/** OCI image specification v1.1, "Image manifest". */
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** The most bytes of a manifest; ours have some 900. */
export const MANIFEST_LIMIT = 64 * 1024;

/** Says what it is; registries older than v1.1 of the specification know no other place for that than the config's type. */
const ARTIFACT_TYPE = 'application/vnd.vmbuild.cache.v1+json';

/** An artifact has no config; this is the empty one. */
export const CONFIG: ObjectBody = { size: 2, sha256: sha256('{}'), open: () => [Buffer.from('{}')] };

/** Media types of layers, by the folder of the path. */
const LAYER_TYPES: Readonly<Record<string, string>> = {
  artifacts: 'application/vnd.vmbuild.artifact.v1.tar+zstd',
  sources: 'application/vnd.vmbuild.source.v1',
  statements: 'application/vnd.vmbuild.statements.v1+jsonl',
  'by-derivation': 'application/vnd.vmbuild.statements.v1+jsonl',
};
const OTHER_TYPE = 'application/vnd.vmbuild.object.v1';

/** Annotation with the path of the object, which its tag may only hold a digest of. */
const PATH = 'org.vmbuild.path';
const CREATED = 'org.opencontainers.image.created';

/** An object, as its manifest describes it. */
export interface OciObject {
  readonly digest: Digest;
  readonly size: number;
  /** Digest of the manifest. */
  readonly version: Digest;
  /** Milliseconds since 1970. */
  readonly writtenAt: number | undefined;
}

/** The tag of an object. Tags have at most 128 characters of `[A-Za-z0-9._-]`, which paths with two digests exceed. */
export function tagOf(path: string): string {
  const name = path.replaceAll('/', '-');
  return name.length <= 128 ? name : `${path.replace(/\/.*/, '')}-${sha256(path)}`;
}

/** The manifest of an object. */
export function formatManifest(path: string, { size, sha256: digest }: ObjectBody, now: Date): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: { mediaType: ARTIFACT_TYPE, digest: `sha256:${CONFIG.sha256}`, size: CONFIG.size },
    layers: [
      {
        mediaType: LAYER_TYPES[path.replace(/\/.*/, '')] ?? OTHER_TYPE,
        digest: `sha256:${digest}`,
        size,
        // What other tools call the file that they make of it.
        annotations: { 'org.opencontainers.image.title': path.replace(/^.*\//, '') },
      },
    ],
    annotations: { [CREATED]: now.toISOString(), [PATH]: path },
  });
}

/** Reads the manifest that was found for a path. @throws VmbuildError CACHE_UNUSABLE */
export function parseManifest(bytes: Buffer, path: string, where: string): OciObject {
  const wrong = (why: string): VmbuildError =>
    new VmbuildError('CACHE_UNUSABLE', `${where}: the manifest under the tag ${tagOf(path)} ${why}`);
  let manifest: {
    layers?: readonly { digest?: unknown; size?: unknown }[];
    annotations?: Readonly<Record<string, unknown>>;
  };
  try {
    manifest = JSON.parse(bytes.toString()) as typeof manifest;
  } catch {
    throw wrong('is not JSON');
  }
  const layers = Array.isArray(manifest?.layers) ? manifest.layers : [];
  const [layer] = layers;
  const digest = typeof layer?.digest === 'string' ? layer.digest.replace(/^sha256:/, '') : undefined;
  if (layers.length !== 1 || !isDigest(digest) || !Number.isSafeInteger(layer?.size)) throw wrong('is not of a cache');
  if (manifest.annotations?.[PATH] !== path) throw wrong('is of something else');
  const written = Date.parse(String(manifest.annotations[CREATED]));
  return {
    digest,
    size: layer?.size as number,
    version: sha256(bytes),
    writtenAt: Number.isNaN(written) ? undefined : written,
  };
}
