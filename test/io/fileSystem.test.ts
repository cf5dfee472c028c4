import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fuseSubtype, networkFileSystem } from '../../src/io/fileSystem.ts';
import { temporary } from '../support/temporary.ts';

const MODULE = JSON.stringify(new URL('../../src/io/fileSystem.ts', import.meta.url).href);
const traces = spawnSync('strace', ['--output=/dev/null', 'true']).status === 0;

describe('a file system', () => {
  it('of this machine is none of the network, also where folders are missing', async () => {
    const folder = await temporary();
    expect(networkFileSystem(folder)).toBeUndefined();
    expect(networkFileSystem(join(folder, 'not', 'there'))).toBeUndefined();
    expect(networkFileSystem('/proc')).toBeUndefined();
  });

  // strace writes into the answer of the system call what the kernel would say (little-endian, amd64).
  it.skipIf(!traces).each([
    ['NFS', '6969000000000000'],
    ['CIFS', '424d53ff00000000'],
    ['SMB (smb2)', '424d53fe00000000'],
    ['9p', '9719020100000000'],
    ['AFS', '5346416b00000000'],
    ['Ceph', '0064c30000000000'],
  ])('of the network is known by its number: %s (needs strace)', async (name, answer) => {
    const path = JSON.stringify(join(await temporary(), 'not', 'there'));
    const script = `const { networkFileSystem } = await import(${MODULE});
      process.stdout.write(String(networkFileSystem(${path})));`;
    const strace = ['-f', '-qq', '--output=/dev/null', '--trace=statfs', `--inject=statfs:poke_exit=@arg2=${answer}`];
    const node = [process.execPath, '--input-type=module', '-e', script];
    expect(spawnSync('strace', [...strace, ...node]).stdout.toString()).toBe(name);
  });

  it('in user space is known by what serves it, the innermost and the last at its place', () => {
    const mountinfo = String.raw`22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 0:50 / /mnt rw,nosuid - fuse.sshfs host:/ rw,user_id=0
91 22 0:51 / /mnt/in\040side rw - fuse.bindfs /elsewhere rw
92 22 0:52 / /mnt2 rw - fuse.sshfs host:/ rw
93 22 0:53 / /mnt2 rw - fuseblk.ntfs /dev/sdb1 rw
94 22 0:54 / /plain rw - fuse thing rw
`;
    expect(fuseSubtype('/mnt', mountinfo)).toBe('sshfs');
    expect(fuseSubtype('/mnt/deep/er', mountinfo)).toBe('sshfs');
    expect(fuseSubtype('/mnt/in side/x', mountinfo)).toBe('bindfs');
    expect(fuseSubtype('/mnt2/x', mountinfo)).toBe('ntfs');
    expect(fuseSubtype('/mnt22', mountinfo)).toBeUndefined();
    expect(fuseSubtype('/plain', mountinfo)).toBeUndefined();
  });
});
