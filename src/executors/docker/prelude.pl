# What a verification changes around a step and Docker has no option for. The perl of the image runs it inside the
# container, and becomes the step's command. Arguments: name=value, each at most once, then -- and the command.
use strict;

my %wanted;
while (@ARGV and (my $argument = shift @ARGV) ne '--') {
  my ($name, $value) = split /=/, $argument, 2;
  $wanted{$name} = $value;
}

sub fail { syswrite STDERR, "vmbuild verify: @_\n"; exit 125 }
sub call { my ($what, $number, @arguments) = @_; syscall($number, @arguments) == -1 and fail("$what: $!") }

# Numbers of x86-64: arch/x86/entry/syscalls/syscall_64.tbl of Linux.
call('personality', 135, $wanted{personality} + 0) if defined $wanted{personality};
if ($wanted{batch}) {
  my $parameters = pack 'i', 0;
  call('the scheduler', 144, 0, 3, $parameters); # sched_setscheduler, SCHED_BATCH
  call('the priority', 141, 0, 0, 10); # setpriority, PRIO_PROCESS
}
if (defined $wanted{workDir}) {
  my $folder = '';
  for my $name (grep { $_ ne '' } split m{/}, $wanted{workDir}) {
    $folder .= "/$name";
    -d $folder or mkdir $folder, 0755 or fail("$folder: $!");
  }
  chdir $folder or fail("$folder: $!");
}
umask $wanted{umask} if defined $wanted{umask};
if ($wanted{pipedInput}) {
  pipe STDIN, my $writer or fail("pipe: $!");
  close $writer;
}
exec {$ARGV[0]} @ARGV;
fail("$ARGV[0]: $!");
