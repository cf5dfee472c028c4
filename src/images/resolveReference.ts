import { LAYER_COMPRESSION, toOciDigest } from '../formats/ociImage.ts';
import {
  ACCEPTED_MANIFESTS,
  type Described,
  parseImageConfig,
  parseManifest,
  type ParsedManifest,
} from '../formats/ociManifest.ts';
import { type OciReference, parseOciReference } from '../formats/ociReference.ts';
import { expectStatus, readBytes } from '../io/http.ts';
import { HttpError } from '../io/httpError.ts';
import type { Registry } from '../io/registry.ts';
import { BUILD_PLATFORM } from '../model/buildKey.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import type { PulledContents } from './lockFile.ts';

/** The most that a manifest or config may have; the distribution specification wants 4 MiB to be accepted. */
const DOCUMENT_LIMIT = 4 * 1024 * 1024;

/**
 * Asks a registry what `from` is: the manifest for our platform, its config, and the layers with their digests. All
 * documents are checked against the digests that lead to them; what a tag leads to is the registry's word.
 *
 * @throws VmbuildError SOURCE_UNAVAILABLE, SOURCE_MISMATCH, IMAGE_RESOLVE that names the document.
 */
export async function resolveReference(
  from: string,
  open: (reference: OciReference) => Registry,
): Promise<PulledContents> {
  const reference = parseOciReference(from);
  const { registry, repository, tag, digest } = reference;
  try {
    const repo = open(reference);
    const manifest = await getManifest(repo, from, digest ?? tag ?? '');
    const config = await getDocument(
      repo,
      from,
      `blobs/${toOciDigest(manifest.config.digest)}`,
      manifest.config.digest,
    );
    const { platform, diffIds } = parseImageConfig(config.text);
    if (platform !== BUILD_PLATFORM) throw refused(from, `it is for ${platform}, not for ${BUILD_PLATFORM}`);
    if (diffIds.length !== manifest.layers.length) throw refused(from, 'its config names another number of layers');
    return {
      from,
      pulled: {
        registry,
        repository,
        manifest: manifest.digest,
        config: manifest.config.digest,
        layers: manifest.layers.map((layer, index) => toLayer(from, layer, diffIds[index] as Digest)),
      },
    };
  } catch (error) {
    if (error instanceof HttpError) {
      throw new VmbuildError('SOURCE_UNAVAILABLE', `${from} cannot be had: ${error.url}: ${error.message}`, {
        cause: error,
      });
    }
    if (error instanceof TypeError || error instanceof SyntaxError) throw refused(from, errorMessage(error), error);
    throw error;
  }
}

type ImageManifest = ParsedManifest & { readonly kind: 'manifest'; readonly digest: Digest };

async function getManifest(repo: Registry, from: string, name: string, depth = 0): Promise<ImageManifest> {
  const digest = /^[0-9a-f]{64}$/.test(name) ? (name as Digest) : undefined;
  const path = `manifests/${digest === undefined ? name : toOciDigest(digest)}`;
  const document = await getDocument(repo, from, path, digest);
  const parsed = parseManifest(document.text, document.mediaType);
  if (parsed.kind === 'manifest') return { ...parsed, digest: document.digest };
  const ours = parsed.manifests.filter(({ platform }) => platform === BUILD_PLATFORM);
  if (ours[0] === undefined || depth > 0) {
    const offered = parsed.manifests.map(({ platform }) => platform).filter(Boolean);
    throw refused(from, `it has nothing for ${BUILD_PLATFORM}, only for ${offered.join(', ') || 'no platform'}`);
  }
  return getManifest(repo, from, ours[0].digest, depth + 1);
}

async function getDocument(repo: Registry, from: string, path: string, digest: Digest | undefined) {
  const response = await repo.get(path, { accept: ACCEPTED_MANIFESTS });
  expectStatus(response, [200]);
  const bytes = await readBytes(response, DOCUMENT_LIMIT);
  const found = sha256(bytes);
  if (digest !== undefined && found !== digest) {
    throw new VmbuildError('SOURCE_MISMATCH', `${from}: ${path} has the sha256 ${found}, not ${digest}`);
  }
  return { text: bytes.toString(), digest: found, mediaType: response.headers['content-type'] ?? '' };
}

function toLayer(from: string, { mediaType, digest, size }: Described, diffId: Digest) {
  if (Object.hasOwn(LAYER_COMPRESSION, mediaType)) return { mediaType, digest, size, diffId };
  throw refused(from, `a layer of the type ${JSON.stringify(mediaType)} is not supported`);
}

function refused(from: string, why: string, cause?: unknown): VmbuildError {
  return new VmbuildError('IMAGE_RESOLVE', `${from} cannot be used: ${why}`, { cause });
}
