# Other processes, other users, and the kernel.

provable 'the environment of vmbuild', 'secret', sub {
  any_of(map { my $path = "/proc/$_/environ"; sub {
    open my $file, '<', $path or return; local $/; my $text = <$file>; defined $text && $text =~ /$bait{secret}/ ? "read $path" : undef;
  } } grep { /^\d+$/ } names('/proc'));
};
attempt 'a secret in its own environment', sub { my ($name) = grep { /SECRET|TOKEN|KEY|DOCKER|AWS|SSH/ || $ENV{$_} =~ /$bait{secret}/ } keys %ENV; $name };
provable 'a process of the machine in /proc', 'vmbuild', sub { my ($path) = grep { -e } "/proc/$bait{vmbuild}/stat"; $path };
provable 'the memory of vmbuild', 'vmbuild', sub { sysopen(my $file, "/proc/$bait{vmbuild}/mem", O_RDONLY) ? 'opened' : undef };
provable 'the folders of vmbuild', 'vmbuild', sub { my $path = readlink "/proc/$bait{vmbuild}/cwd"; $path };
provable 'a signal to a process of the machine', 'victim', sub { kill(0, $bait{victim}) ? 'it arrived' : undef };
provable 'a descriptor of a process of the machine', 'victim', sub { call('pidfd_open', $bait{victim} + 0, 0) };
attempt 'tracing vmbuild', sub { call('ptrace', 16, $bait{vmbuild} + 0, 0, 0) }; # PTRACE_ATTACH
attempt 'a signal to everybody', sub { kill(0, -1) && (grep { /^\d+$/ && $_ != 1 && $_ != $$ } names('/proc')) ? 'somebody heard it' : undef };
attempt 'the namespaces of another process', sub {
  any_of(map { my $path = $_; sub { sysopen my $file, $path, O_RDONLY or return; call('setns', fileno $file, 0) } }
    map { my $kind = $_; ("/proc/1/ns/$kind", "/proc/$bait{vmbuild}/ns/$kind") } qw(user mnt net pid ipc uts cgroup));
};

attempt 'another user id', sub { any_of(sub { call('setresuid', 0, 0, 0) }, sub { call('setresgid', 0, 0, 0) }, sub { call('setresuid', 65534, 65534, 65534) }) };
attempt 'a setuid program of the image', sub { my ($path) = grep { !-l && (-u || -g) && -f } map { below("/$_") } qw(usr bin sbin opt); $path };
attempt 'a setuid program of its own', sub {
  # Of root it would be another's; no new privileges keep it from having an effect anyway.
  open my $file, '>', '/tmp/program'; close $file;
  chown(0, 0, '/tmp/program') ? 'it belongs to root' : undef;
};
attempt 'capabilities', sub { any_of(
  sub { call('capset', pack('LL', 0x20080522, 0), pack 'L6', 1 << 21, 1 << 21, 0, 0, 0, 0) }, # CAP_SYS_ADMIN
  sub { call('prctl', 47, 2, 21, 0, 0) }, # PR_CAP_AMBIENT_RAISE
  # security.capability of a file: struct vfs_cap_data, revision 2, CAP_SYS_ADMIN effective
  sub { open my $file, '>', '/tmp/capable'; call('setxattr', '/tmp/capable', 'security.capability', pack('L5', 0x2000001, 1 << 21, 0, 0, 0), 20, 0) },
) };
attempt 'a user namespace', sub { any_of(
  sub { call('unshare', 0x10000000) },
  sub { call('unshare', 0x10020000) }, # and one of mounts
  sub { call('clone', 0x10000011, 0, 0, 0, 0) },
  sub { call('clone3', pack('Q8', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64) },
) };
attempt 'namespaces of other kinds', sub { any_of(map { my $flag = $_; sub { call('unshare', $flag) } } 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000, 0x80) };
attempt 'higher limits', sub { any_of(map { my $limit = $_; sub { call('prlimit64', 0, $limit, pack('QQ', 1 << 20, 1 << 20), 0) } } 7, 4) };
attempt 'more than its share of the processor', sub { any_of(
  sub { call('sched_setscheduler', 0, 1, pack 'i', 50) }, # SCHED_FIFO
  sub { POSIX::nice(-5) },
  sub { call('ioprio_set', 1, 0, 1 << 13) }, # IOPRIO_CLASS_RT
) };
attempt 'being spared when memory runs out', sub { open my $file, '>', '/proc/self/oom_score_adj' or return; syswrite($file, '-1000') ? 'it is' : undef };

my %none = map { $_ => 1 } POSIX::EPERM(), POSIX::ENOSYS();
# Calls with arguments that would do no harm: that anything but "no" is answered means that the kernel was asked.
sub asked { my ($name, @arguments) = @_; my $found = call($name, @arguments); return defined $found ? $found : $none{$! + 0} ? undef : "$name answered $!" }
attempt 'keyrings', sub { any_of(
  sub { asked('keyctl', 0, -3, 0) }, # KEYCTL_GET_KEYRING_ID of the session
  sub { asked('keyctl', 11, -3, 0, 0) }, # KEYCTL_READ
  sub { asked('add_key', 'user', 'x', 'y', 1, -3) },
  sub { asked('request_key', 'user', 'x', 0, -3) },
) };
attempt 'kernel modules', sub { any_of(sub { asked('init_module', 0, 0, '') }, sub { asked('finit_module', 0, '', 0) }, sub { asked('delete_module', 'none', 0) }) };
attempt 'another kernel', sub { any_of(sub { asked('kexec_load', 0, 0, 0, 0) }, sub { asked('reboot', 0, 0, 0, 0) }) };
attempt 'programs inside of the kernel', sub { asked('bpf', 0, pack('L4 x112', 2, 4, 8, 1), 128) }; # BPF_MAP_CREATE of an array
attempt 'performance counters', sub { asked('perf_event_open', pack('L L Q x104', 1, 120, 0), 0, -1, -1, 0) };
attempt 'io_uring', sub { asked('io_uring_setup', 1, "\0" x 120) };
attempt 'page faults handled by itself', sub { asked('userfaultfd', 1) };
attempt 'file events of the machine', sub { asked('fanotify_init', 0, 0) };
attempt 'the log of the kernel', sub { any_of(sub { asked('syslog', 3, "\0" x 99, 99) }, sub { sysopen my $file, '/dev/kmsg', O_RDONLY or return; 'opened' }, sub { open my $file, '<', '/proc/kmsg' or return; 'opened' }) };
attempt 'the clock', sub { any_of(
  sub { asked('settimeofday', 0, pack 'll', 0, 0) },
  sub { asked('clock_settime', 0, pack 'qq', -1, -1) },
  sub { asked('adjtimex', pack 'L x204', 0x4000) }, # ADJ_TICK, of nothing: invalid, if it were asked
) };
attempt 'the host name', sub { asked('sethostname', 'other', 5) };
attempt 'ports of the processor', sub { any_of(sub { asked('iopl', 3) }, sub { asked('ioperm', 0x80, 1, 1) }) };
attempt 'accounting, swap and quotas', sub { any_of(sub { asked('acct', '/tmp/none') }, sub { asked('swapon', '/tmp/none', 0) }, sub { asked('quotactl', 0x80000100, 0, 0, 0) }) };
attempt 'typing on a terminal', sub { # TIOCSTI, TIOCLINUX
  any_of(map { my ($path, $request) = @$_; sub {
    sysopen my $terminal, $path, O_RDWR or return;
    my $typed = 'x';
    ioctl($terminal, $request, $typed) ? $path : $none{$! + 0} ? undef : "it was asked: $!";
  } } map { my $path = $_; ([$path, 0x5412], [$path, 0x541c]) } '/dev/null', '/dev/tty', '/dev/ptmx', '/dev/console');
};
attempt 'programs of other kinds than x86-64', sub {
  # An ELF file of 64 bits that asks for getpid as a 32-bit program does: mov eax, 20; int 0x80; then exit(0) likewise.
  my $code = pack 'C*', 0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80;
  my $header = "\x7fELF" . pack 'C C C x9 S S L Q Q Q L S6', 2, 1, 1, 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0;
  my $segment = pack 'L L Q Q Q Q Q Q', 1, 5, 0, 0x400000, 0x400000, 120 + length $code, 120 + length $code, 4096;
  open my $file, '>', '/tmp/other' or die "$!"; syswrite $file, "$header$segment$code"; close $file;
  chmod 0755, '/tmp/other';
  return system('/tmp/other') == 0 ? 'it ran' : undef;
};
attempt 'system calls of the x32 kind', sub { my $result = syscall 0x40000000 + 39; $result == -1 ? undef : "pid $result" };
attempt 'memory layout without chance', sub { call('personality', 0x40000) }; # ADDR_NO_RANDOMIZE

# Whether it is still there is for the test to see: it has the bait `marker` among its arguments.
attempt 'a process that stays', sub {
  my $child = fork;
  if (!$child) { POSIX::setsid(); exit if fork; $SIG{$_} = 'IGNORE' for qw(HUP TERM INT PIPE); exec 'perl', '-e', 'sleep 1 while 1', $bait{marker} }
  waitpid $child, 0;
  return undef;
};
