import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY } from './fixture.ts';
import { freePort } from './freePort.ts';
import { temporary } from './temporary.ts';

/** Servers of scripts/cache-server.sh. */
type ServerKind = 'registry' | 'nginx' | 's3';

const SCRIPT = join(REPOSITORY, 'scripts', 'cache-server.sh');

/** Why a server cannot be started here; undefined if it can. */
export function lacksServer(kind: ServerKind): string | undefined {
  const { status, stderr } = spawnSync(SCRIPT, ['check', kind], { encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim();
}

/** A server on loopback that wants a user `vmbuild` with the password `secret`, where it is told to want one. */
export interface CacheServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** Its folder: `data/`, and its log. */
  readonly folder: string;
  /** What it has logged. */
  readonly log: () => string;
}

/** A user for tests alone: bcrypt of `secret`, as `htpasswd -B` makes it. */
const HTPASSWD = 'vmbuild:$2y$05$xxpZdx5Lk3hvwNS8MmWUvOEPDd4XCn8KdSUGnbkCSyvHUAMcv0uIq\n';

/** Starts a server by the project's script; it ends with the scope. */
export async function startCacheServer(
  kind: ServerKind,
  { password = true, env = {} as Readonly<Record<string, string>> } = {},
): Promise<CacheServer> {
  const folder = await temporary();
  mkdirSync(join(folder, 'data'));
  if (password) writeFileSync(join(folder, 'htpasswd'), HTPASSWD);
  const port = await freePort();
  const child = spawn(SCRIPT, ['run', kind, folder, String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (log += text.toString()));
  const host = `127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://${host}/`).catch(() => undefined);
    if (answer !== undefined) break;
    if (tries > 1200 || child.exitCode !== null) throw new Error(`${kind} does not answer: ${log}`);
    await sleep(50);
  }
  return {
    host,
    folder,
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** The key that the S3 server of scripts/cache-server.sh knows. */
export const S3_KEY = { accessKeyId: 'vmbuild-test', secretAccessKey: 'a-secret-for-tests-alone' } as const;

/** Makes a bucket of the S3 server. */
export function makeBucket(server: CacheServer, name: string): void {
  mkdirSync(join(server.folder, 'data', name));
}
