import { describe, expect, it } from 'vitest';
import {
  fromOciDigest,
  OCI_LAYOUT,
  OCI_MEDIA_TYPES,
  ociConfig,
  ociDescriptor,
  ociIndex,
  ociManifest,
  toOciDigest,
} from '../../src/formats/ociImage.ts';
import { sha256 } from '../../src/model/digest.ts';

const layer = { mediaType: OCI_MEDIA_TYPES.layer, digest: sha256('layer'), size: 5 };
const config = ociConfig({
  diffIds: [layer.digest],
  env: ['PATH=/bin'],
  workingDir: '/build',
  user: '1000:100',
  command: ['/bin/sh'],
  history: ['made'],
});

describe('OCI documents', () => {
  it('writes a config whose bytes are fixed', () => {
    // A golden value: another digest would rename every image that was ever made.
    expect(sha256(config)).toBe('7d2c6284604929c0ba4af370dd2d5035880077b589dde17d510be789fc3432da');
    expect(JSON.parse(config)).toEqual({
      architecture: 'amd64',
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: { Env: ['PATH=/bin'], WorkingDir: '/build', User: '1000:100', Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layer.digest}`] },
      history: [{ created: '1970-01-01T00:00:00Z', created_by: 'made' }],
    });
  });

  it('writes a manifest and an index that name each other by digest and size', () => {
    const descriptor = ociDescriptor(OCI_MEDIA_TYPES.config, config);
    expect(descriptor).toEqual({ mediaType: OCI_MEDIA_TYPES.config, digest: sha256(config), size: config.length });
    const manifest = ociManifest(descriptor, [layer]);
    expect(JSON.parse(manifest)).toEqual({
      schemaVersion: 2,
      mediaType: OCI_MEDIA_TYPES.manifest,
      config: { ...descriptor, digest: `sha256:${descriptor.digest}` },
      layers: [{ ...layer, digest: `sha256:${layer.digest}` }],
    });
    const index = JSON.parse(ociIndex(ociDescriptor(OCI_MEDIA_TYPES.manifest, manifest), 'a:b'));
    expect(index.manifests).toEqual([
      {
        mediaType: OCI_MEDIA_TYPES.manifest,
        digest: `sha256:${sha256(manifest)}`,
        size: manifest.length,
        platform: { architecture: 'amd64', os: 'linux' },
        annotations: { 'org.opencontainers.image.ref.name': 'a:b' },
      },
    ]);
    expect(JSON.parse(ociIndex(layer)).manifests[0]).not.toHaveProperty('annotations');
    expect(JSON.parse(OCI_LAYOUT)).toEqual({ imageLayoutVersion: '1.0.0' });
  });

  it('counts bytes, not characters', () => {
    expect(ociDescriptor('x', 'é').size).toBe(2);
  });

  it('converts digests both ways and refuses others', () => {
    expect(fromOciDigest(toOciDigest(layer.digest))).toBe(layer.digest);
    for (const text of [layer.digest, `sha512:${layer.digest}`, 'sha256:abc', '']) {
      expect(() => fromOciDigest(text)).toThrow(/not a sha256 digest/);
    }
  });
});
