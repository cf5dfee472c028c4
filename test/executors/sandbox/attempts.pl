# Tries to get out of the sandbox of a build step, in as many ways as there are attempts, and says how each went: lines of
# its name, a tab, "refused" or "escaped" (or "broken": it could not be tried), a tab, and how.
#
# usage: perl -e PROGRAM NAME=VALUE...      baits: what the test has laid out on the machine
# With the bait `control` only the provable ones: those that succeed where there is no sandbox.
use strict;
use Fcntl;
use POSIX ();
use Socket;

my %bait = map { split /=/, $_, 2 } @ARGV;
# System calls of x86-64: arch/x86/entry/syscalls/syscall_64.tbl of Linux.
my %CALL = (
  clone => 56, ptrace => 101, syslog => 103, setresuid => 117, setresgid => 119, capset => 126, personality => 135,
  mknod => 133, sched_setscheduler => 144, pivot_root => 155, prctl => 157, adjtimex => 159, acct => 163, settimeofday => 164,
  mount => 165, umount2 => 166, swapon => 167, reboot => 169, sethostname => 170, iopl => 172, ioperm => 173,
  init_module => 175, delete_module => 176, quotactl => 179, setxattr => 188, clock_settime => 227, mq_open => 240,
  kexec_load => 246, add_key => 248, request_key => 249, keyctl => 250, ioprio_set => 251, unshare => 272,
  perf_event_open => 298, fanotify_init => 300, prlimit64 => 302, open_by_handle_at => 304, 
  setns => 308, finit_module => 313, bpf => 321, userfaultfd => 323, io_uring_setup => 425,
  open_tree => 428, fsopen => 430, pidfd_open => 434, clone3 => 435, 
);

# What a system call gave, or undef if it was refused.
sub call {
  my ($name, @arguments) = @_;
  my $result = syscall $CALL{$name}, @arguments;
  return $result == -1 ? undef : "$name gave $result";
}

# The first of several ways that leads somewhere.
sub any_of { for my $way (@_) { my $found = $way->(); return $found if defined $found } return }

sub attempt {
  my ($name, $try) = @_;
  run($name, $try) if !exists $bait{control};
}

# An attempt that succeeds outside of the sandbox, if the test could lay out this bait.
sub provable {
  my ($name, $bait, $try) = @_;
  run($name, $try) if !exists $bait{control} || exists $bait{$bait};
}

# In a process of its own: it may be killed.
sub run {
  my ($name, $try) = @_;
  pipe my $from, my $to or die "pipe: $!";
  defined(my $child = fork) or die "fork: $!";
  if ($child == 0) {
    close $from;
    alarm 20;
    my $found = eval { $try->() };
    my $said = $@ ? "broken\t$@" : defined $found ? "escaped\t$found" : "refused\t$!";
    syswrite $to, $said;
    POSIX::_exit(0);
  }
  close $to;
  my $said = do { local $/; <$from> };
  waitpid $child, 0;
  $said = $? == 14 ? "broken\tit took too long" : "refused\tkilled by signal $?" if !defined $said || $said eq '';
  syswrite STDOUT, join("\t", $name, $said =~ s/\n/ /gr) . "\n";
}

# What lies in a file of the machine; every bait says "leak".
sub leak {
  my ($path) = @_;
  open my $file, '<', $path or return;
  my $text = <$file>;
  return defined $text && $text =~ /leak/ ? "read $path" : undef;
}

sub names { my ($folder) = @_; opendir my $list, $folder or return; return sort grep { !/^\.\.?$/ } readdir $list }

# Everything below a folder.
sub below {
  my ($folder) = @_;
  return map { my $path = "$folder/$_"; -d $path && !-l $path ? ($path, below($path)) : $path } names($folder);
}

sub writable { my ($path) = @_; return sysopen(my $file, $path, O_WRONLY | O_APPEND) ? "may write to $path" : undef }
