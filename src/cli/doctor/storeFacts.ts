import { lstatSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatBytes } from '../format.ts';
import { type Fact, fact, readSystemFile } from './fact.ts';

/** Free space with which a ROM and all that it is made of can be built, bytes: 3 GiB in the store, as much in use meanwhile. */
const ENOUGH_SPACE = 8 * 2 ** 30;

/** File systems of other machines: locks and flushes mean less there than the store needs. */
const REMOTE = /^(nfs|nfs4|cifs|smb3|smbfs|9p|afs|ceph|glusterfs|lustre|fuse\.(sshfs|glusterfs|ceph.*|s3fs|rclone))$/;

/** Where the store lies. `root`: its folder, which need not be there yet. */
export function storeFacts(root: string): readonly Fact[] {
  const existing = nearestFolder(root);
  const { bavail, bsize, ffree, files } = statfsSync(existing);
  const free = bavail * bsize;
  const { type, options } = mountOf(existing);
  return [
    fact('store', existing === root ? root : `${root} (not there yet)`),
    fact(
      'file system',
      type,
      REMOTE.test(type)
        ? 'It is another machine’s: put the store on a disk of this one, VMBUILD_STORE=<folder>.'
        : undefined,
      options.includes('noexec')
        ? 'It is mounted noexec, so steps cannot run what they build: mount it without, or VMBUILD_STORE=<folder>.'
        : undefined,
    ),
    fact(
      'free space',
      formatBytes(free),
      free < ENOUGH_SPACE
        ? `Less than ${formatBytes(ENOUGH_SPACE)}: \`vmbuild gc\` makes room, or VMBUILD_STORE=<folder>.`
        : undefined,
      // Some file systems make inodes as they need them, and say 0 of 0.
      files > 0 && ffree < 100_000
        ? `Only ${ffree} more files can be made; an image alone has ten thousand.`
        : undefined,
    ),
  ];
}

function nearestFolder(path: string): string {
  let folder = path;
  while (folder !== '/' && lstatSync(folder, { throwIfNoEntry: false }) === undefined) folder = dirname(folder);
  return folder;
}

/** Type and options of the mount that a path is on. proc(5), /proc/pid/mountinfo; it writes a space as \040. */
function mountOf(path: string): { readonly type: string; readonly options: readonly string[] } {
  let found = { point: '', type: 'unknown', options: '' };
  for (const line of (readSystemFile('/proc/self/mountinfo') ?? '').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , , escaped = '', options = ''] = before.split(' ');
    const point = escaped.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const holds = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    // The last one on a place hides those before it.
    if (holds && point.length >= found.point.length) found = { point, type: after.split(' ')[0] ?? '', options };
  }
  return { type: found.type, options: found.options.split(',') };
}
