import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { type AssembledImage, assembleImage } from '../../src/images/assemble.ts';
import { exportDockerArchive, exportOciLayout } from '../../src/images/export.ts';
import { sha256 } from '../../src/model/digest.ts';
import { debFolder, writeDeb } from './debBuilder.ts';
import { rejection, temporaryFolders } from './helpers.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const folder = temporaryFolders();

async function makeImage(): Promise<AssembledImage> {
  const pool = folder();
  const entries = [
    { name: './usr/bin/x', content: 'x'.repeat(100_000), mode: 0o755 },
    { name: `./opt/${'n'.repeat(150)}`, content: 'long' },
  ];
  const deb = await writeDeb(pool, { name: 'a', entries });
  return assembleImage({ debs: [deb] }, { partPath: debFolder(pool), scratch: folder() });
}

/** All files below a folder: path → sha256. */
function files(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true }) as string[];
  const regular = names.filter((name) => statSync(join(root, name)).isFile()).sort();
  return Object.fromEntries(regular.map((name) => [name, sha256(readFileSync(join(root, name)))]));
}

describe('exportOciLayout', () => {
  it('writes blobs under their digests, and documents that lead to them', async () => {
    const image = await makeImage();
    const out = join(folder(), 'layout');
    const manifestDigest = await exportOciLayout(image, out, { name: 'vmbuild/a:1' });
    const written = files(out);
    for (const [path, digest] of Object.entries(written))
      if (path.startsWith('blobs/')) expect(path).toBe(`blobs/sha256/${digest}`);
    expect(Object.keys(written).sort()).toEqual(
      [image.digest, image.layerDigest, manifestDigest]
        .map((digest) => `blobs/sha256/${digest}`)
        .concat('index.json', 'oci-layout')
        .sort(),
    );
    const json = (path: string) => JSON.parse(readFileSync(join(out, path), 'utf8'));
    expect(json('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    const [entry] = json('index.json').manifests;
    expect(entry).toMatchObject({
      digest: `sha256:${manifestDigest}`,
      annotations: { 'org.opencontainers.image.ref.name': 'vmbuild/a:1' },
    });
    const manifest = json(`blobs/sha256/${manifestDigest}`);
    expect(manifest.config).toMatchObject({ digest: `sha256:${image.digest}`, size: image.config.length });
    expect(manifest.layers).toEqual([
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: `sha256:${image.layerDigest}`,
        size: statSync(join(out, 'blobs/sha256', image.layerDigest)).size,
      },
    ]);
    // What any tool makes of the layer: owners 0:0, time 0.
    const listing = execFileSync('tar', [
      'tvf',
      join(out, 'blobs/sha256', image.layerDigest),
      '--numeric-owner',
      '--utc',
    ]).toString();
    expect(listing).toContain('-rwxr-xr-x 0/0          100000 1970-01-01 00:00 ./usr/bin/x');
    expect(listing).toContain('drwxrwxrwt 0/0               0 1970-01-01 00:00 ./build/');
    expect(listing).toContain(
      'lrwxrwxrwx 0/0               0 1970-01-01 00:00 ./bin -> usr/bin'.replace('rwxrwxrwx', 'rwxr-xr-x'),
    );
  });

  it('writes the same files again', async () => {
    const image = await makeImage();
    const [one, two] = [join(folder(), 'a'), join(folder(), 'b')];
    await exportOciLayout(image, one);
    await exportOciLayout(image, two);
    expect(files(one)).toEqual(files(two));
  });

  it('refuses a folder that is not empty', async () => {
    const out = folder();
    writeFileSync(join(out, 'mine'), '');
    expect(await rejection(exportOciLayout(await makeImage(), out))).toBe(
      `USAGE ${out} is not empty; an export wants a new folder`,
    );
    expect(readdirSync(out)).toEqual(['mine']);
  });

  it('refuses a root file system that was changed, and leaves no index', async () => {
    const image = await makeImage();
    writeFileSync(join(image.rootfs, 'usr/bin/x'), 'other');
    const out = join(folder(), 'layout');
    expect(await rejection(exportOciLayout(image, out))).toContain(
      `STORE_DAMAGED the root file system at ${image.rootfs} is not the image's`,
    );
    expect(readdirSync(out)).toEqual([]);
  });

  it('stops when told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const out = folder();
    await expect(exportOciLayout(await makeImage(), out, { signal })).rejects.toThrow('enough');
    expect(readdirSync(out)).toEqual([]);
  });
});

describe('exportDockerArchive', () => {
  it('writes an archive with the config under its digest and the layer', async () => {
    const image = await makeImage();
    const out = join(folder(), 'image.tar');
    await exportDockerArchive(image, out, { name: 'vmbuild/a:1' });
    const read = (name: string): Buffer => execFileSync('tar', ['xOf', out, name], { maxBuffer: 2 ** 28 });
    const [manifest] = JSON.parse(read('./manifest.json').toString());
    expect(manifest.RepoTags).toEqual(['vmbuild/a:1']);
    expect(sha256(read(`./${manifest.Config}`))).toBe(image.digest);
    expect(sha256(read(`./${manifest.Layers[0]}`))).toBe(image.layerDigest);
  });

  it('leaves nothing behind when it is stopped or cannot write', async () => {
    const image = await makeImage();
    const out = folder();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(exportDockerArchive(image, join(out, 'x.tar'), { signal })).rejects.toThrow('enough');
    expect(readdirSync(out)).toEqual([]);
    await expect(exportDockerArchive(image, join(out, 'absent', 'x.tar'))).rejects.toThrow(/ENOENT/);
  });
});
