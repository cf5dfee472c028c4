/**
 * The system calls that a step may not make, as a seccomp filter: about what Docker's default profile refuses to a
 * container without capabilities, so that both executors agree. Most of it the kernel would refuse anyway to who has
 * no capability; the filter keeps a step away from the code that decides so, and from what needs no capability and
 * leads out of the sandbox (keyrings, AF_VSOCK, io_uring).
 *
 * Numbers: arch/x86/entry/syscalls/syscall_64.tbl of Linux.
 */
// prettier-ignore
const REFUSED = {
  // Namespaces and mounts
  unshare: 272, setns: 308, mount: 165, umount2: 166, pivot_root: 155, chroot: 161, open_tree: 428, move_mount: 429,
  fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433, mount_setattr: 442, quotactl: 179, quotactl_fd: 443,
  // What lies outside of every namespace, and other processes' memory and descriptors
  add_key: 248, request_key: 249, keyctl: 250, open_by_handle_at: 304, kcmp: 312, pidfd_getfd: 438,
  process_madvise: 440, lookup_dcookie: 212, fanotify_init: 300,
  // Large interfaces with a history of holes
  bpf: 321, perf_event_open: 298, userfaultfd: 323, io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427,
  // The machine
  kexec_load: 246, kexec_file_load: 320, create_module: 174, init_module: 175, delete_module: 176,
  get_kernel_syms: 177, query_module: 178, finit_module: 313, reboot: 169, swapon: 167, swapoff: 168, syslog: 103,
  settimeofday: 164, clock_settime: 227, sethostname: 170, setdomainname: 171, iopl: 172, ioperm: 173, acct: 163,
  vhangup: 153,
  // Where memory lies
  mbind: 237, set_mempolicy: 238, get_mempolicy: 239, migrate_pages: 256, move_pages: 279,
  set_mempolicy_home_node: 450,
  // Never built, or long gone
  uselib: 134, ustat: 136, sysfs: 139, _sysctl: 156, nfsservctl: 180, getpmsg: 181, putpmsg: 182, afs_syscall: 183,
  tuxcall: 184, security: 185, vserver: 236,
} as const;

const CALLS = { ioctl: 16, socket: 41, socketpair: 53, clone: 56, personality: 135, clone3: 435 } as const;

/** What came after it does not exist for a step, whatever kernel it runs on. */
const LAST_KNOWN_CALL = 450;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of <linux/sched.h>. */
const NEW_NAMESPACES = 0x7e020000;

/** AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: those that a network namespace confines. */
const SOCKET_FAMILIES = [1, 2, 10, 16];

/** PER_LINUX and PER_LINUX32, each also with UNAME26, and the question for the present one. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

/** TIOCSTI and TIOCLINUX: typing on somebody's terminal. */
const TERMINAL_REQUESTS = [0x5412, 0x541c];

/** Of <linux/audit.h>. */
const AUDIT_ARCH_X86_64 = 0xc000003e;

/** Numbers from here on are those of the x32 ABI. */
const X32 = 0x40000000;

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** Classic BPF of <linux/bpf_common.h>, and what a filter answers, of <linux/seccomp.h>. */
const LOAD = 0x20;
const IF_EQUAL = 0x15;
const IF_GREATER = 0x25;
const IF_AT_LEAST = 0x35;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const KILL_PROCESS = 0x80000000;
const ALLOW = 0x7fff0000;
const errno = (code: number): number => 0x00050000 | code;

/** Offsets in struct seccomp_data. The kernel uses the low half of the arguments that are looked at here. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number): number => 16 + 8 * index;

/** Code, jump if true, jump if false (both count the instructions to leave out), value. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const load = (offset: number): Instruction => [LOAD, 0, 0, offset];
const answer = (value: number): Instruction => [RETURN, 0, 0, value];
/** Goes on with the next instruction if the condition holds, and else after it. */
const when = (condition: number, value: number): Instruction => [condition, 0, 1, value];

/** Rules for one call by one of its arguments. */
function onArgument(call: number, index: number, rules: readonly Instruction[]): Instruction[] {
  return [[IF_EQUAL, 0, rules.length + 1, call], load(argument(index)), ...rules];
}

function assemble(): Buffer {
  const oneOf = (values: readonly number[], then: number): Instruction[] =>
    values.flatMap((value) => [when(IF_EQUAL, value), answer(then)]);
  const socketRules = [...oneOf(SOCKET_FAMILIES, ALLOW), answer(errno(EAFNOSUPPORT))];
  const program: Instruction[] = [
    load(ARCHITECTURE),
    [IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64],
    answer(KILL_PROCESS),
    load(NUMBER),
    when(IF_AT_LEAST, X32),
    answer(KILL_PROCESS),
    when(IF_GREATER, LAST_KNOWN_CALL),
    answer(errno(ENOSYS)),
    when(IF_EQUAL, CALLS.clone3), // its flags are in memory, where a filter cannot look; libc then takes clone
    answer(errno(ENOSYS)),
    ...oneOf(Object.values(REFUSED), errno(EPERM)),
    ...onArgument(CALLS.clone, 0, [when(IF_ANY_BIT, NEW_NAMESPACES), answer(errno(EPERM)), answer(ALLOW)]),
    ...onArgument(CALLS.personality, 0, [...oneOf(PERSONALITIES, ALLOW), answer(errno(EPERM))]),
    ...onArgument(CALLS.socket, 0, socketRules),
    ...onArgument(CALLS.socketpair, 0, socketRules),
    ...onArgument(CALLS.ioctl, 1, [...oneOf(TERMINAL_REQUESTS, errno(EPERM)), answer(ALLOW)]),
    answer(ALLOW),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}

/** The program: an array of struct sock_filter. */
export const SECCOMP_FILTER: Uint8Array = assemble();
