/** Something that a step, or whoever runs it, can tell the two executors apart by. */
export interface Difference {
  /** Stays the same when the words change. */
  readonly id: string;
  readonly what: string;
  readonly namespace: string;
  readonly docker: string;
  /** Why it is accepted. */
  readonly reason: string;
}

const one = (id: string, what: string, namespace: string, docker: string, reason: string): Difference => {
  return { id, what, namespace, docker, reason };
};

/**
 * All accepted differences between the executors. docs/sandbox.md has the same table, and a test compares it with what
 * steps really see. A recipe that lets one of them into its output is at fault.
 */
export const DIFFERENCES: readonly Difference[] = [
  one(
    'owners',
    'owner of the files of the image, of inputs and of mount points',
    '1000:100; `nobody` for /proc if an ordinary user runs vmbuild',
    '0:0',
    'an ordinary user may map one id, their own',
  ),
  one(
    'id-maps',
    '`/proc/self/uid_map` and the like, and group numbers in kernel settings',
    'one id is mapped',
    'all ids are mapped',
    'a user namespace is what gives an ordinary user the right to mount',
  ),
  one(
    'groups',
    'supplementary groups',
    '100 for root; else those of whoever runs vmbuild, shown as `nogroup`',
    '100',
    'only root can give up groups',
  ),
  one(
    'mounts',
    '`/proc/mounts` and the like',
    'the store’s file systems',
    'overlay, the daemon’s data, and `/etc/hosts`, `hostname` and `resolv.conf` of the image as mounts',
    'it is how they are put together',
  ),
  one(
    'dev',
    '`/dev`',
    'the list above, and nothing else',
    'also `tty`, `ptmx`, `pts`, `mqueue` and, where the kernel has it, `core`',
    'Docker cannot be told to leave them out; none leads out of the container',
  ),
  one(
    'docker-files',
    '`/.dockerenv`, and `/etc/mtab` if the image lacks it',
    'as in the image',
    'made by Docker',
    'Docker cannot be told not to',
  ),
  one(
    'own-proc',
    '`/proc/self/oom_score_adj` and the like',
    'read-only',
    'writable for the step’s own processes',
    'Docker has no read-only `/proc`',
  ),
  one(
    'settings',
    'which of the machine’s settings below `/proc/sys` can be read',
    'none of some for the network; if root runs vmbuild, some more that are root’s',
    'all but root’s',
    'a step of root is root to the kernel; nothing there can be changed',
  ),
  one(
    'namespace-limits',
    '`/proc/sys/user/max_…_namespaces`',
    'no user namespaces, else no limits',
    'the machine’s',
    'a second lock: system calls that make namespaces are refused anyway',
  ),
  one(
    'unknown-calls',
    'numbers that no system call has',
    '`ENOSYS`',
    '`EPERM` from daemons before Docker 22',
    'the daemon’s answer',
  ),
  one(
    'input-times',
    'times of inputs',
    'those of the store',
    '1970 where they are copied into volumes',
    'no time is part of an artifact; `verify` varies them',
  ),
  one(
    'signals',
    'a command that exits with 128 + n',
    'exit code 128 + n',
    'reported as killed by signal n',
    'Docker gives one number for both',
  ),
  one(
    'sockets',
    'a socket left in `/out`',
    'refused by name',
    'dropped by the daemon without a word',
    'Docker’s archives hold none, and neither does an artifact',
  ),
  one(
    'u-fffd',
    'a name with the character U+FFFD in `/out`',
    'allowed',
    'refused by name',
    'not to be told from a name that is not UTF-8 in Docker’s archive',
  ),
  one('volumes', 'an image that declares volumes', 'allowed', 'refused', 'Docker would make them writable'),
  one(
    'killed-vmbuild',
    'if vmbuild is killed',
    'the kernel ends the step at once',
    'the container is removed by the next vmbuild',
    'the container is the daemon’s',
  ),
];
