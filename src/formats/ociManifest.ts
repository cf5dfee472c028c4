import * as v from 'valibot';
import type { Digest } from '../model/digest.ts';
import { fromOciDigest, OCI_MEDIA_TYPES } from './ociImage.ts';

// Reading what other tools have written: OCI image specification v1.1, and its older twin, the Docker image manifest
// version 2, schema 2, which most registries still hold.

const INDEX_TYPES: readonly string[] = [
  OCI_MEDIA_TYPES.index,
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFEST_TYPES: readonly string[] = [
  OCI_MEDIA_TYPES.manifest,
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** What to `accept` when asking for a manifest by tag or digest. */
export const ACCEPTED_MANIFESTS = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ');

/** A blob that a manifest names; `size` in bytes. */
export interface Described {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** An image manifest, or an index that leads to one for each platform. */
export type ParsedManifest =
  | { readonly kind: 'manifest'; readonly config: Described; readonly layers: readonly Described[] }
  | { readonly kind: 'index'; readonly manifests: readonly (Described & { readonly platform: string })[] };

const descriptor = v.object({
  mediaType: v.string(),
  digest: v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }): Digest => {
      try {
        return fromOciDigest(dataset.value);
      } catch {
        addIssue({ message: 'not a sha256 digest' });
        return NEVER;
      }
    }),
  ),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
const manifestSchema = v.object({ schemaVersion: v.literal(2), config: descriptor, layers: v.array(descriptor) });
const indexSchema = v.object({
  schemaVersion: v.literal(2),
  manifests: v.array(
    v.object({
      ...descriptor.entries,
      platform: v.optional(v.object({ os: v.string(), architecture: v.string() })),
    }),
  ),
});
const configSchema = v.object({
  os: v.string(),
  architecture: v.string(),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(descriptor.entries.digest) }),
});

/**
 * Reads a manifest or an index. `mediaType` is what the server called it; the document's own word counts first.
 *
 * @throws TypeError that names the field.
 */
export function parseManifest(text: string, mediaType: string): ParsedManifest {
  const value: unknown = JSON.parse(text);
  const own = (value as { mediaType?: unknown } | null)?.mediaType;
  const type = typeof own === 'string' ? own : mediaType.replace(/;.*/, '').trim();
  if (MANIFEST_TYPES.includes(type)) return { kind: 'manifest', ...check(manifestSchema, value, 'the manifest') };
  if (!INDEX_TYPES.includes(type)) throw new TypeError(`not the manifest of an image: ${JSON.stringify(type)}`);
  const { manifests } = check(indexSchema, value, 'the index');
  return {
    kind: 'index',
    manifests: manifests.map(({ platform, ...rest }) => ({
      ...rest,
      platform: platform === undefined ? '' : `${platform.os}/${platform.architecture}`,
    })),
  };
}

/** What of an image's config decides its root. @throws TypeError that names the field. */
export function parseImageConfig(text: string): { readonly platform: string; readonly diffIds: readonly Digest[] } {
  const { os, architecture, rootfs } = check(configSchema, JSON.parse(text), 'the config');
  return { platform: `${os}/${architecture}`, diffIds: rootfs.diff_ids };
}

function check<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new TypeError(`${what}: ${v.getDotPath(issue) ?? 'the document'}: ${issue.message}`);
}
