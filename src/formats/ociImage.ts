import { canonicalJson, type Json } from '../model/canonicalJson.ts';
import { type Digest, isDigest, sha256 } from '../model/digest.ts';

/**
 * The documents of the OCI image specification v1.1 that vmbuild writes, as canonical JSON: the same
 * image always has the same bytes. Layers are uncompressed tars, so that a layer's digest is its diffID
 * and no compressor has a say in any name.
 */
export const OCI_MEDIA_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/** How a layer's tar is compressed, by the media type of the layer. */
export const LAYER_COMPRESSION: Readonly<Record<string, 'none' | 'gz' | 'zst'>> = {
  [OCI_MEDIA_TYPES.layer]: 'none',
  [`${OCI_MEDIA_TYPES.layer}+gzip`]: 'gz',
  [`${OCI_MEDIA_TYPES.layer}+zstd`]: 'zst',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gz',
};

/** The content of the file `oci-layout`. */
export const OCI_LAYOUT = canonicalJson({ imageLayoutVersion: '1.0.0' });

/** A blob named by a document. `size` in bytes. */
export interface OciDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** What decides an image config. */
export interface OciConfigInput {
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly Digest[];
  /** `NAME=value`, in order. */
  readonly env: readonly string[];
  readonly workingDir: string;
  /** `uid:gid`. */
  readonly user: string;
  readonly command: readonly string[];
  /** One line per layer: how it was made. */
  readonly history: readonly string[];
}

const EPOCH = '1970-01-01T00:00:00Z';

/** An image config for linux/amd64 with all times at the epoch. Its sha256 is the image's digest. */
export function ociConfig(input: OciConfigInput): string {
  return canonicalJson({
    architecture: 'amd64',
    os: 'linux',
    created: EPOCH,
    config: {
      Env: input.env,
      WorkingDir: input.workingDir,
      User: input.user,
      Cmd: input.command,
    },
    rootfs: { type: 'layers', diff_ids: input.diffIds.map(toOciDigest) },
    history: input.history.map((created_by) => ({ created: EPOCH, created_by })),
  });
}

/** An image manifest. */
export function ociManifest(config: OciDescriptor, layers: readonly OciDescriptor[]): string {
  return canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MEDIA_TYPES.manifest,
    config: descriptorJson(config),
    layers: layers.map(descriptorJson),
  });
}

/** An index with one linux/amd64 manifest; `refName` becomes its `org.opencontainers.image.ref.name`. */
export function ociIndex(manifest: OciDescriptor, refName?: string): string {
  return canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MEDIA_TYPES.index,
    manifests: [
      {
        ...descriptorJson(manifest),
        platform: { architecture: 'amd64', os: 'linux' },
        annotations: refName === undefined ? undefined : { 'org.opencontainers.image.ref.name': refName },
      },
    ],
  });
}

/** The descriptor of a document in memory. */
export function ociDescriptor(mediaType: string, content: string): OciDescriptor {
  return { mediaType, digest: sha256(content), size: Buffer.byteLength(content) };
}

/** `sha256:<hex>`, the form in which OCI documents write digests. */
export function toOciDigest(digest: Digest): string {
  return `sha256:${digest}`;
}

/** @throws TypeError for another algorithm or a malformed digest. */
export function fromOciDigest(text: string): Digest {
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : '';
  if (!isDigest(hex)) throw new TypeError(`not a sha256 digest of an OCI document: ${JSON.stringify(text)}`);
  return hex;
}

function descriptorJson(descriptor: OciDescriptor): { readonly [key: string]: Json } {
  return { mediaType: descriptor.mediaType, digest: toOciDigest(descriptor.digest), size: descriptor.size };
}
