import { readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemErrorCode } from '../model/errors.ts';

/**
 * File systems of other machines by the number that statfs(2) gives: `f_type`, linux/magic.h and the sources of each file
 * system. What is kept there may be changed by machines whose locks this one does not see.
 */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB (smb2)'],
  [0xff534d42, 'CIFS'],
  [0x564c, 'NCP'],
  [0x01021997, '9p'],
  [0x5346414f, 'OpenAFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x73757245, 'Coda'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x013111a8, 'IBRIX'],
  [0xaad7aaea, 'PanFS'],
  [0x786f4256, 'a folder of the VirtualBox host'],
  [0xbacbacbc, 'a folder of the VMware host'],
]);

const FUSE = 0x65735546;

/**
 * FUSE says nothing but its own number; what serves it stands in mountinfo as `fuse.<subtype>`. These lie on other machines, or
 * pass on what others do.
 */
const NETWORK_SUBTYPES: readonly string[] =
  'sshfs rclone s3fs goofys gcsfuse geesefs mountpoint-s3 davfs curlftpfs glusterfs ceph ceph-fuse lizardfs mfs moosefs juicefs seaweedfs cvmfs2 smbnetfs gvfsd-fuse google-drive-ocamlfuse onedriver vmhgfs-fuse afpfs'.split(
    ' ',
  );

/**
 * The name of the network file system that `path` lies on, or would lie on once its missing folders are made; undefined for
 * one of this machine.
 */
export function networkFileSystem(path: string): string | undefined {
  const { type, ancestor } = typeOfNearest(path);
  if (type !== FUSE) return NETWORK_TYPES.get(type);
  const subtype = fuseSubtype(ancestor, readFileSync('/proc/self/mountinfo', 'utf8'));
  return subtype !== undefined && NETWORK_SUBTYPES.includes(subtype) ? `FUSE (${subtype})` : undefined;
}

function typeOfNearest(path: string): { readonly type: number; readonly ancestor: string } {
  for (let ancestor = path; ; ancestor = dirname(ancestor)) {
    try {
      return { type: statfsSync(ancestor).type, ancestor };
    } catch (error) {
      const missing = ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
      if (!missing || dirname(ancestor) === ancestor) throw error;
    }
  }
}

/** The subtype of the file system that is mounted where an existing `path` lies, from the text of proc_pid_mountinfo(5). */
export function fuseSubtype(path: string, mountinfo: string): string | undefined {
  let found: { readonly point: string; readonly type: string } | undefined;
  for (const line of mountinfo.split('\n')) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    const [before = '', after = ''] = line.split(' - ');
    const point = unescape(before.split(' ')[4] ?? '');
    const [type = ''] = after.split(' ');
    if (point === '' || !(point === '/' || path === point || path.startsWith(`${point}/`))) continue;
    // Of two at one place the later one hides the earlier.
    if (found === undefined || point.length >= found.point.length) found = { point, type };
  }
  return /^fuse(?:blk)?\.(.+)$/.exec(found?.type ?? '')?.[1];
}

/** Space, tab, newline and backslash are written as three octal digits there. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
