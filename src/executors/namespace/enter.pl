# Makes the sandboxes of build steps. Needs nothing but the perl of Debian's perl-base, and loads no module but strict, so
# that it starts at once. Nothing of the image is executed before a sandbox is complete.
#
#   enter.pl PID      PID is that of vmbuild
#
# It starts once for a whole vmbuild, as the zygote: for each byte of standard input it forks a keeper, because to fork a
# large process and to start perl cost more than a sandbox. Each sandbox has three processes. Its keeper stays in the
# machine's namespaces and waits. The warden is process 1 of a process namespace of its own: when it dies, the kernel ends
# everything below, and nothing that a step does can change that. The step is process 1 of a second process namespace,
# inside that one. Each of zygote, keeper and warden is killed by the kernel when the one before it dies, and so is the
# zygote when vmbuild does.
#
# Standard error of the zygote tells, in the order in which they were asked for:
#   keeper PID D T O     there is a keeper. Its descriptors D, T and O are pipes that nobody else has: D takes the
#                        description of the sandbox, at T it tells what happens, at O the step's output can be read
# Anything else is why there is none.
#
# Once all three are open on the other side, D brings the description (description.ts): its length in four bytes, then
# names, each with a count and that many values. No length means that there shall be no sandbox. When D is closed, the
# sandbox ends. T tells, line by line:
#   ready PID            the sandbox is complete, and the command is about to be executed; PID as the machine sees it
#   exit N | signal N    how the command ended
# Anything else is why the sandbox could not be set up. When all processes are gone, T is closed.
use strict;

# System calls of x86-64: arch/x86/entry/syscalls/syscall_64.tbl of Linux.
my %CALL = (
  ioctl => 16, socket => 41, setsid => 112, setgroups => 116, capset => 126, personality => 135, statfs => 137,
  setpriority => 141, sched_setscheduler => 144, pivot_root => 155, prctl => 157, mount => 165, umount2 => 166, sethostname => 170, setdomainname => 171,
  sched_setaffinity => 203, keyctl => 250, unshare => 272, prlimit64 => 302, seccomp => 317,
);

# Of <linux/mount.h>, <linux/sched.h>, <linux/prctl.h>, <asm-generic/errno-base.h>.
my ($MS_RDONLY, $MS_NOSUID, $MS_NODEV, $MS_NOEXEC, $MS_REMOUNT, $MS_BIND) = (1, 2, 4, 8, 32, 4096);
my ($MS_REC, $MS_PRIVATE, $MNT_DETACH) = (1 << 14, 1 << 18, 2);
my ($NEWNS, $NEWCGROUP, $NEWUTS, $NEWIPC) = (1 << 17, 1 << 25, 1 << 26, 1 << 27);
my ($NEWUSER, $NEWPID, $NEWNET) = (1 << 28, 1 << 29, 1 << 30);
my ($PR_SET_PDEATHSIG, $PR_CAPBSET_DROP, $PR_SET_NO_NEW_PRIVS) = (1, 24, 38);
my ($EPERM, $ENOENT, $EINVAL, $ENOSYS) = (1, 2, 22, 38);
my $WNOHANG = 1;

sub fail { syswrite STDERR, "@_\n"; exit 1 }

# A system call. Strings are passed by address, numbers by value; perl wants variables, because a call may write there.
sub try { my ($name, @arguments) = @_; return syscall $CALL{$name}, @arguments }

sub call {
  my ($what, @call) = @_;
  my $result = try(@call);
  fail("$what: $!") if $result == -1;
  return $result;
}

sub write_file {
  my ($path, $text) = @_;
  open my $file, '>', $path or fail("$path: $!");
  defined(syswrite $file, $text) or fail("$path: $!");
  close $file;
}

length(pack 'p', '') == 8 or fail('the perl of this machine is not a 64-bit program');
close_inherited();
die_with(@ARGV);
umask 0;
my ($zygote, $uid, $gid) = ($$, $> + 0, $) + 0);
my ($input, %sandbox); # of a keeper: where the step's output goes, and the description
while (sysread STDIN, my $request, 1) { fork_keeper() }
1 while wait > 0;
exit 0;

# The process that made this one must be PARENT; when it ends, this one does.
sub die_with {
  my ($parent) = @_;
  call('prctl', 'prctl', $PR_SET_PDEATHSIG, 9);
  exit 1 if getppid != $parent; # it was gone before that call
}

# Whoever has the pipes opens them in the keeper's /proc/<pid>/fd, so they are open here no longer than it takes to fork.
sub fork_keeper {
  1 while waitpid(-1, $WNOHANG) > 0; # only now, so that the number of a keeper is its own until all has been opened
  my (@ends, $keeper);
  for (1 .. 3) {
    pipe my $read, my $write or return syswrite STDERR, "pipe: $!\n";
    push @ends, $read, $write;
  }
  defined($keeper = fork) or return syswrite STDERR, "fork: $!\n";
  keep_sandbox(@ends) if $keeper == 0;
  syswrite STDERR, sprintf "keeper %d %d %d %d\n", $keeper, map { fileno $_ } @ends[1, 2, 4];
}

sub keep_sandbox {
  my ($described, $describe, $told, $tell, $output);
  ($described, $describe, $told, $tell, $output, $input) = @_;
  @_ = ();
  open STDIN, '<&', $described or fail("dup: $!");
  open STDERR, '>&', $tell or fail("dup: $!");
  die_with($zygote);
  my $length = unpack 'N', read_exactly(4) or exit 0;
  close $_ for $described, $describe, $told, $tell, $output;
  %sandbox = read_description($length);
  $0 = 'vmbuild sandbox ' . value('scratch'); # for who looks at the list of processes
  enter_user_namespace();

  pipe my $keeper_gone, my $keeper_lives or fail("pipe: $!");
  pipe my $warden_gone, my $warden_lives or fail("pipe: $!");
  defined(my $warden = fork) or fail("fork: $!");
  if ($warden == 0) {
    close $_ for $keeper_lives, $warden_gone;
    guard_step($keeper_gone);
  }
  close $_ for $input, $keeper_gone, $warden_lives;
  my $ends = '';
  vec($ends, fileno $_, 1) = 1 for \*STDIN, $warden_gone;
  my $ended;
  1 until select($ended = $ends, undef, undef, undef) > 0;
  kill 'KILL', $warden if vec $ended, fileno STDIN, 1;
  wait_for($warden);
  exit 0;
}

sub enter_user_namespace {
  try('setgroups', 1, pack 'L', $gid); # root may; a user namespace keeps everybody else from it
  call('a user namespace cannot be made', 'unshare', $NEWUSER | $NEWPID);
  write_file('/proc/self/setgroups', 'deny');
  write_file('/proc/self/uid_map', value('uid') . " $uid 1");
  write_file('/proc/self/gid_map', value('gid') . " $gid 1");
}

sub value { return $sandbox{$_[0]}[0] }

# What whoever started vmbuild left open (a make's job server, a CI system's secrets) is not for the step.
sub close_inherited {
  opendir my $descriptors, '/proc/self/fd' or fail("/proc/self/fd: $!");
  for my $descriptor (grep { /^\d+$/ && $_ > 2 && $_ != fileno $descriptors } readdir $descriptors) {
    open my $handle, "<&=$descriptor" or next;
    close $handle;
  }
}

sub read_description {
  my ($length) = @_;
  my @fields = unpack '(N/a*)*', read_exactly($length);
  my %description;
  while (my ($name, $count) = splice @fields, 0, 2) {
    $description{$name} = [splice @fields, 0, $count];
  }
  return %description;
}

sub read_exactly {
  my ($length) = @_;
  my $text = '';
  while (length $text < $length) {
    sysread STDIN, $text, $length - length $text, length $text or exit 1; # vmbuild is gone
  }
  return $text;
}

sub wait_for {
  my ($pid) = @_;
  while (1) { return $? if waitpid($pid, 0) == $pid }
}

# What the warden does: it waits for the step, and tells how it ended. It cannot ask who made it, whom it does not see.
sub guard_step {
  my ($keeper_gone) = @_;
  call('prctl', 'prctl', $PR_SET_PDEATHSIG, 9);
  vec(my $readable = '', fileno $keeper_gone, 1) = 1;
  exit 1 if select($readable, undef, undef, 0) != 0; # it was gone before that call
  open STDIN, '<', '/dev/null' or fail("/dev/null: $!");
  call('a process namespace cannot be made', 'unshare', $NEWPID);
  defined(my $step = fork) or fail("fork: $!");
  become_step() if $step == 0;
  close $input;
  my $status = wait_for($step);
  syswrite STDERR, $status & 127 ? 'signal ' . ($status & 127) . "\n" : 'exit ' . ($status >> 8) . "\n";
  exit 0;
}

sub become_step {
  my $pid = readlink '/proc/self';
  write_file($_, '0') for @{$sandbox{cgroups}};
  call('namespaces cannot be made', 'unshare', $NEWNS | $NEWUTS | $NEWIPC | $NEWNET | $NEWCGROUP);
  call('setsid', 'setsid'); # else it could signal the process group of its keeper
  call('host name', 'sethostname', value('hostname'), length value('hostname'));
  call('domain name', 'setdomainname', value('domainname'), length value('domainname'));
  my $socket = call('a socket', 'socket', 2, 0x80002, 0); # AF_INET, SOCK_DGRAM|CLOEXEC
  call('the loopback interface', 'ioctl', $socket, 0x8914, pack 'a16 s x22', 'lo', 0x41); # SIOCSIFFLAGS, IFF_UP|RUNNING
  mount_root();
  restrict();
  execute($pid);
}

# Mounts everything (the list is in mounts.ts) and makes the result the only file system there is. It is put together where the
# image lies, on a mount of the image there, which nobody outside of this mount namespace sees.
sub mount_root {
  my $root = value('root');
  mount_at('/', 0, 0, $MS_REC | $MS_PRIVATE, 0);
  mkdir $_, 01777 or fail("$_: $!") for @{$sandbox{folders}};
  my %action = (
    bind => \&bind, tmpfs => \&tmpfs, proc => \&proc, readonly => \&remount_readonly, hide => \&hide,
    folder => \&make_folder, file => sub { write_file($_[0], '') }, write => \&write_file,
    link => sub { symlink $_[1], $_[0] or fail("$_[0]: $!") },
    set => sub { write_file(@_) if -e $_[0] },
  );
  my @mounts = @{$sandbox{mounts}};
  while (my ($verb, $target, @details) = splice @mounts, 0, 4) { $action{$verb}("$root$target", @details) }
  chdir $root or fail("$root: $!");
  call('the root cannot be changed', 'pivot_root', '.', '.');
  call('the old root cannot be unmounted', 'umount2', '.', $MNT_DETACH);
  my $folder = '';
  for my $name (grep { $_ ne '' } split m{/}, value('workDir')) {
    $folder .= "/$name";
    -d $folder or mkdir $folder, 0755 or fail("$folder: $!");
  }
  chdir value('workDir') or fail(value('workDir') . ": $!");
}

sub make_folder { my ($path) = @_; mkdir $path, 0755 or fail("$path: $!") }

sub mount_at {
  my ($target, $source, $type, $flags, $data) = @_;
  my $what = $type || ($flags & $MS_BIND && $source) || 'a change of mount options';
  call("$what cannot be mounted on $target", 'mount', $source, $target, $type, $flags, $data);
}

# Access is "readonly", "writable" or "device". A device can be written to on a read-only mount as well, but a step of
# root, whose file the machine's node is, cannot change its mode. In a user namespace the kernel refuses to drop nosuid,
# nodev or noexec of the mount that something comes from (mount_namespaces(7), "locked"), so these are repeated; f_flags
# of statfs(2) has the same bits.
sub bind {
  my ($target, $source, $access) = @_;
  mount_at($target, $source, 0, $MS_BIND, 0);
  call($target, 'statfs', $target, my $facts = "\0" x 120);
  my $kept = unpack('x80 Q', $facts) & ($MS_NOSUID | $MS_NODEV | $MS_NOEXEC);
  my $flags = $kept | $MS_NOSUID | ($access eq 'device' ? 0 : $MS_NODEV) | ($access eq 'writable' ? 0 : $MS_RDONLY);
  mount_at($target, 0, 0, $MS_BIND | $MS_REMOUNT | $flags, 0);
}

sub tmpfs { my ($target, $options) = @_; mount_at($target, 'tmpfs', 'tmpfs', $MS_NOSUID | $MS_NODEV, $options) }
sub proc { my ($target) = @_; mount_at($target, 'proc', 'proc', $MS_NOSUID | $MS_NODEV | $MS_NOEXEC, 0) }

# For what this process has mounted itself.
sub remount_readonly {
  my ($target, $noexec) = @_;
  my $flags = $MS_RDONLY | $MS_NOSUID | $MS_NODEV | ($noexec eq 'noexec' ? $MS_NOEXEC : 0);
  mount_at($target, 0, 0, $MS_BIND | $MS_REMOUNT | $flags, 0);
}

# What not every kernel has: a file becomes the empty device, a folder an empty one.
sub hide {
  my ($target, $nothing) = @_;
  if (-d $target) { mount_at($target, 'tmpfs', 'tmpfs', $MS_RDONLY, 'size=0') }
  elsif (-e $target) { mount_at($target, value('root') . $nothing, 0, $MS_BIND, 0) }
}

# Gives up for good whatever the step must not have.
sub restrict {
  my @limits = @{$sandbox{limits}};
  while (my ($name, $number, $value) = splice @limits, 0, 3) { set_limit($name, $number + 0, $value + 0) }
  call('personality', 'personality', value('personality') + 0);
  schedule();
  # The caller's session keyring holds its secrets. The filter keeps the step from all keyrings; where the kernel has
  # none, or a filter around vmbuild refuses this, there is none to reach either.
  try('keyctl', 1, 0) != -1 or $! == $EPERM or $! == $ENOSYS or fail("a new session keyring: $!");
  for my $capability (0 .. 63) {
    next if try('prctl', $PR_CAPBSET_DROP, $capability) != -1;
    last if $! == $EINVAL; # the kernel knows no more
    fail("capability $capability cannot be dropped: $!");
  }
  call('capabilities', 'capset', pack('LL', 0x20080522, 0), pack('L6')); # _LINUX_CAPABILITY_VERSION_3
  call('no new privileges', 'prctl', $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  umask value('umask');
  # The flag (SECCOMP_FILTER_FLAG_SPEC_ALLOW) leaves the processor's speculation as it is; some kernels else slow it down.
  my $filter = value('filter');
  call('the filter of system calls', 'seccomp', 1, 4, pack 'S x6 P', length($filter) / 8, $filter);
}

# Only a verification changes how a step is scheduled.
sub schedule {
  if (my @processors = @{$sandbox{cpus}}) {
    my $mask = "\0" x 128;
    vec($mask, $_, 1) = 1 for @processors;
    call('processors', 'sched_setaffinity', 0, length $mask, $mask);
  }
  return if !value('batch');
  call('the scheduler', 'sched_setscheduler', 0, 3, pack('i', 0)); # SCHED_BATCH
  call('the priority', 'setpriority', 0, 0, 10); # PRIO_PROCESS
}

sub set_limit {
  my ($name, $number, $value) = @_;
  return if try('prlimit64', 0, $number, pack('QQ', $value, $value), 0) != -1;
  my $reason = "$!";
  try('prlimit64', 0, $number, 0, my $present = "\0" x 16);
  fail("the limit $name cannot be set to $value: $reason; the hard limit here is " . unpack 'x8 Q', $present);
}

sub execute {
  my ($pid) = @_;
  open my $status, '>&', \*STDERR or fail("dup: $!");
  if (value('pipedInput')) {
    pipe STDIN, my $writer or fail("pipe: $!");
    close $writer;
  } else {
    open STDIN, '+<', '/dev/null' or fail("/dev/null: $!");
  }
  open STDOUT, '>&', $input or fail("dup: $!");
  open STDERR, '>&', $input or fail("dup: $!");
  my @command = @{$sandbox{command}};
  %ENV = @{$sandbox{environment}};
  syswrite $status, "ready $pid\n";
  exit 0 if !@command; # a trial of the sandbox alone
  exec {$command[0]} @command;
  # As a shell says it, and with its exit codes.
  my $code = $! == $ENOENT ? 127 : 126;
  syswrite STDERR, "$command[0]: $!\n";
  exit $code;
}
