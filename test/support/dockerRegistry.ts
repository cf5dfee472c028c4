import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { sha256 } from '../../src/model/digest.ts';
import { freePort } from './freePort.ts';
import { temporary } from './temporary.ts';

/** Whether Debian's docker-registry is installed here (scripts/install-test-tools.sh). */
export const hasRegistry = spawnSync('docker-registry', ['--version']).status === 0;

/** A registry on loopback that wants user `vmbuild` with the password `secret`. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** Uploads a blob, and returns how a manifest names it. */
  readonly pushBlob: (repository: string, mediaType: string, bytes: Uint8Array) => Promise<object>;
  /** Uploads a manifest under a tag; returns its digest. */
  readonly pushManifest: (repository: string, tag: string, mediaType: string, manifest: object) => Promise<string>;
}

/** A user for tests alone: bcrypt of `secret`, as `htpasswd -B` makes it. */
const HTPASSWD = 'vmbuild:$2y$05$xxpZdx5Lk3hvwNS8MmWUvOEPDd4XCn8KdSUGnbkCSyvHUAMcv0uIq\n';

const AUTHORIZATION = `Basic ${Buffer.from('vmbuild:secret').toString('base64')}`;

/** Starts Debian's docker-registry; it ends with the scope. */
export async function startRegistry(): Promise<TestRegistry> {
  const folder = await temporary();
  const port = await freePort();
  writeFileSync(join(folder, 'htpasswd'), HTPASSWD);
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: `127.0.0.1:${port}` },
    auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
  };
  // JSON is YAML, too.
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  const base = `http://127.0.0.1:${port}/v2`;
  const headers = { authorization: AUTHORIZATION };
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${base}/`, { headers }).catch(() => undefined);
    if (answer?.status === 200) break;
    if (tries > 600 || child.exitCode !== null) throw new Error('docker-registry does not answer');
    await sleep(50);
  }
  const expect = async (response: Response, status: number): Promise<Response> => {
    if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
    return response;
  };
  return {
    host: `127.0.0.1:${port}`,
    pushBlob: async (repository, mediaType, bytes) => {
      const begun = await expect(await fetch(`${base}/${repository}/blobs/uploads/`, { method: 'POST', headers }), 202);
      const digest = `sha256:${sha256(bytes)}`;
      const upload = new URL(begun.headers.get('location') as string, base);
      upload.searchParams.set('digest', digest);
      await expect(await fetch(upload, { method: 'PUT', headers, body: new Uint8Array(bytes) }), 201);
      return { mediaType, digest, size: bytes.length };
    },
    pushManifest: async (repository, tag, mediaType, manifest) => {
      const body = JSON.stringify(manifest);
      const url = `${base}/${repository}/manifests/${tag}`;
      await expect(await fetch(url, { method: 'PUT', headers: { ...headers, 'content-type': mediaType }, body }), 201);
      return sha256(body);
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** Pushes tars as the gzipped layers of an image for linux/amd64, in Docker's own format; returns the manifest's digest. */
export async function pushImage(
  registry: TestRegistry,
  repository: string,
  tag: string,
  tars: readonly Buffer[],
  platform: { readonly os: string; readonly architecture: string } = { os: 'linux', architecture: 'amd64' },
): Promise<string> {
  const docker = 'application/vnd.docker';
  const layers: object[] = [];
  for (const tar of tars) {
    layers.push(await registry.pushBlob(repository, `${docker}.image.rootfs.diff.tar.gzip`, gzipSync(tar)));
  }
  const diffIds = tars.map((tar) => `sha256:${sha256(tar)}`);
  const document = { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } };
  const config = await registry.pushBlob(
    repository,
    `${docker}.container.image.v1+json`,
    Buffer.from(JSON.stringify(document)),
  );
  const mediaType = `${docker}.distribution.manifest.v2+json`;
  return registry.pushManifest(repository, tag, mediaType, { schemaVersion: 2, mediaType, config, layers });
}
