/**
 * The system calls of a step, for both executors: about what Docker's default profile refuses to a container without
 * capabilities. Most of it the kernel would refuse anyway to who has no capability; a filter keeps a step away from the
 * code that decides so, and from what needs no capability and leads out of the sandbox (keyrings, AF_VSOCK, io_uring).
 *
 * Numbers and names: arch/x86/entry/syscalls/syscall_64.tbl of Linux.
 */

/** They fail with EPERM. */
// prettier-ignore
export const REFUSED_CALLS = {
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

/**
 * They fail with EOPNOTSUPP, as on a file system without extended attributes. No artifact has any, but a folder that a
 * step leaves is taken into the store as it is, and whoever got it as an input would find them.
 */
export const UNSUPPORTED_CALLS = { setxattr: 188, lsetxattr: 189, fsetxattr: 190 } as const;

/** Of these it depends on an argument; clone3 does not exist for a step (ENOSYS), since its argument is in memory, where no filter can look. */
export const FILTERED_CALLS = {
  ioctl: 16,
  socket: 41,
  socketpair: 53,
  clone: 56,
  personality: 135,
  clone3: 435,
} as const;

/** All others. */
// prettier-ignore
export const ALLOWED_CALLS = `
  read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
  rt_sigreturn pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise shmget
  shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile connect accept sendto recvfrom
  sendmsg recvmsg shutdown bind listen getsockname getpeername setsockopt getsockopt fork vfork execve exit wait4
  kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate ftruncate
  getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod fchmod chown fchown
  lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid getgid setuid setgid geteuid getegid
  setpgid getppid getpgrp setsid setreuid setregid getgroups setgroups setresuid getresuid setresgid getresgid
  getpgid setfsuid setfsgid getsid capget capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend
  sigaltstack utime mknod statfs fstatfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler
  sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock munlock mlockall
  munlockall modify_ldt prctl arch_prctl adjtimex setrlimit sync gettid readahead
  getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr tkill time
  futex sched_setaffinity sched_getaffinity set_thread_area io_setup io_destroy io_getevents io_submit io_cancel
  get_thread_area epoll_create epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address
  restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun timer_delete
  clock_gettime clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes mq_open mq_unlink
  mq_timedsend mq_timedreceive mq_notify mq_getsetattr waitid ioprio_set ioprio_get inotify_init inotify_add_watch
  inotify_rm_watch openat mkdirat mknodat fchownat futimesat newfstatat unlinkat renameat linkat symlinkat
  readlinkat fchmodat faccessat pselect6 ppoll set_robust_list get_robust_list splice tee sync_file_range vmsplice
  utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4
  signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo recvmmsg
  fanotify_mark prlimit64 name_to_handle_at clock_adjtime syncfs sendmmsg getcpu process_vm_readv
  process_vm_writev sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create execveat membarrier
  mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq
  pidfd_send_signal pidfd_open close_range openat2 faccessat2 epoll_pwait2 landlock_create_ruleset
  landlock_add_rule landlock_restrict_self memfd_secret process_mrelease futex_waitv
`.trim().split(/\s+/);

/** What came after it does not exist for a step, whatever kernel it runs on. */
export const LAST_KNOWN_CALL = 450;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of <linux/sched.h>. */
export const NEW_NAMESPACES = 0x7e020000;

/** AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: those that a network namespace confines. */
export const SOCKET_FAMILIES = [1, 2, 10, 16];

/** PER_LINUX and PER_LINUX32, each also with UNAME26, and the question for the present one. */
export const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

/** TIOCSTI and TIOCLINUX: typing on somebody's terminal. */
export const TERMINAL_REQUESTS = [0x5412, 0x541c];

export const EPERM = 1;
export const ENOSYS = 38;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
