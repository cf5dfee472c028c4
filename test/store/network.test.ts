import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openStore, openStoreForReading } from '../../src/store/openStore.ts';
import { temporary } from '../support/temporary.ts';

const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const lack =
  process.getuid?.() !== 0
    ? 'needs root to mount'
    : !existsSync('/dev/fuse')
      ? 'needs /dev/fuse'
      : spawnSync('sshfs', ['--version']).error !== undefined || !existsSync(SFTP_SERVER)
        ? 'needs sshfs and its server: scripts/install-test-tools.sh'
        : undefined;

/**
 * Mounts a folder over another with sshfs, whose other end is a server on a pipe: no network is involved. (Not a pipe of
 * ours: this process waits for the file system in one piece.)
 */
async function mountSshfs(folder: string, point: string): Promise<void> {
  const pipe = `${point}.pipe`;
  const script = `mkfifo "$1"; ${SFTP_SERVER} <"$1" | sshfs -f -o passive ":$2" "$3" >"$1"`;
  const mounted = spawn('sh', ['-c', script, 'sh', pipe, folder, point], { stdio: 'ignore' });
  const ended = once(mounted, 'exit');
  onTestFinished(async () => {
    spawnSync('umount', [point]);
    await ended;
  });
  while (!readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${point} `)) await sleep(20);
}

describe.skipIf(lack !== undefined)(
  `a store on a network file system (sshfs${lack ? `; skipped: ${lack}` : ''})`,
  () => {
    it('is refused, also through a link and where it is not there yet, and nothing is made', async () => {
      const folder = await temporary();
      const [far, point] = [join(folder, 'far'), join(folder, 'mnt')];
      await mkdir(join(far, 'present'), { recursive: true });
      await writeFile(join(far, 'present', 'format'), '1\n');
      await mkdir(point);
      await mountSshfs(far, point);
      await symlink(join(point, 'present'), join(folder, 'link'));
      for (const root of [join(point, 'present'), join(point, 'a', 'new', 'one'), join(folder, 'link')]) {
        await expect(openStore(root)).rejects.toMatchObject({
          code: 'STORE_UNUSABLE',
          message: expect.stringContaining('lies on a network file system: FUSE (sshfs)') as unknown,
          hints: [expect.stringContaining('VMBUILD_STORE=') as unknown],
        });
      }
      expect(await readdir(far)).toEqual(['present']);
      expect(await readdir(join(far, 'present'))).toEqual(['format']);
      // Who only looks does no harm.
      await openStoreForReading(join(point, 'present'));
    });
  },
);
