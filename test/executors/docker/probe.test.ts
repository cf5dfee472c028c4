import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connectionTrouble, explainDockerError } from '../../../src/executors/docker/dockerErrors.ts';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import { PROBE_PREFIX } from '../../support/probePrefix.ts';

const folder = mkdtempSync(PROBE_PREFIX);
afterAll(() => rmSync(folder, { recursive: true }));

describe('docker probe without a working daemon', () => {
  it('explains a socket that is not there', async () => {
    const socketPath = join(folder, 'none.sock');
    const answer = await createDockerExecutor({ socketPath }).probe(PROBE_PREFIX);
    expect(answer).toMatchObject({
      available: false,
      reason: `no Docker daemon: DOCKER_HOST=unix://${socketPath} does not exist`,
    });
    expect(JSON.stringify(answer)).toContain('scripts/docker.sh start');
  });

  it('explains a server that is no Docker daemon, or hangs up', async () => {
    const socketPath = join(folder, 'other.sock');
    const server = createServer((socket) => socket.destroy()).listen(socketPath);
    const answer = await createDockerExecutor({ socketPath }).probe(PROBE_PREFIX);
    expect(answer).toMatchObject({ available: false });
    expect(JSON.stringify(answer)).toContain('closed the connection');
    server.close();
  });

  it('takes a daemon that says nothing for one that does not work', { timeout: 20_000 }, async () => {
    const socketPath = join(folder, 'silent.sock');
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(socketPath);
    expect(await createDockerExecutor({ socketPath }).probe(PROBE_PREFIX)).toMatchObject({ available: false });
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it.each(['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTFOUND', 'ECONNRESET'])('has a reason and a hint for %s', (code) => {
    const trouble = connectionTrouble(Object.assign(new Error('x'), { code }), undefined);
    expect(trouble?.reason).toContain('the default Docker socket');
    expect(trouble?.hints.length).toBeGreaterThan(0);
  });

  it('says that it is the disk of the daemon that is full', () => {
    const error = Object.assign(new Error('x'), {
      statusCode: 500,
      json: { message: 'write: no space left on device' },
    });
    expect(explainDockerError(error, 's', undefined)).toMatchObject({ code: 'DISK_FULL', step: 's' });
  });

  it('leaves an error of our own disk to the caller', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(explainDockerError(error, 's', undefined)).toBe(error);
  });
});
