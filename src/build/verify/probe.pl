# Prints what programs see of their surroundings, one `name=value` a line, for vmbuild verify: an axis counts as varied
# only if something here has changed. Runs in a step's image, which must have perl-base.
use strict;

sub show { my ($name, $value) = @_; $value =~ s/[\n\0]/ /g; print "$name=$value\n" }
sub read_file { open my $file, '<', $_[0] or return ''; local $/; return scalar <$file> }

# sched_getaffinity, number 204 of x86-64.
my $mask = "\0" x 128;
syscall 204, 0, length $mask, $mask;
show('cpus', unpack '%32b*', $mask);
show('jobs', $ENV{VMBUILD_JOBS});
show('time', time);

# uname(2): six strings of 65 bytes.
my $uname = "\0" x 390;
syscall 63, $uname;
my ($system, $host, $kernel, $version, $machine, $domain) = unpack '(Z65)6', $uname;
show('kernel', $kernel);
show('hostNames', "$host $domain");

# The same by a program without a dynamic linker, which no LD_PRELOAD reaches. An ELF file of one segment, with its code
# at 0x400078: uname into the stack, and clock_gettime(CLOCK_REALTIME) behind it; both are written to standard output.
my $code = pack 'H*', join '',
  '4881ec00020000',       # sub rsp, 0x200
  '4889e7', 'b83f000000', '0f05',                 # mov rdi, rsp; mov eax, 63 (uname); syscall
  '31ff', '488db424a0010000', 'b8e4000000', '0f05', # xor edi, edi; lea rsi, [rsp+0x1a0]; mov eax, 228; syscall
  'bf01000000', '4889e6', 'bab0010000', 'b801000000', '0f05', # mov edi, 1; mov rsi, rsp; mov edx, 0x1b0; mov eax, 1
  '31ff', 'b83c000000', '0f05';                   # xor edi, edi; mov eax, 60 (exit); syscall
my $elf = pack('H*', '7f454c46020101000000000000000000') . pack('SSLQQQLSSSSSS', 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
  . pack('LLQQQQQQ', 1, 5, 0, 0x400000, 0x400000, 120 + length $code, 120 + length $code, 0x1000) . $code;
open my $program, '>:raw', '/tmp/static' or die "/tmp/static: $!";
print $program $elf;
close $program;
chmod 0755, '/tmp/static';
my $answer = qx{/tmp/static};
show('staticKernel', unpack 'x130 Z65', $answer);
show('staticTime', unpack 'x416 Q', $answer);

# Where three programs have their stack.
my %addresses = map { $_ => 1 } map { (split / /, qx{cat /proc/self/stat})[27] } 1 .. 3;
show('addresses', join ' ', sort keys %addresses);

my ($flags) = read_file('/proc/cpuinfo') =~ /^flags\s*: (.*)$/m;
show('cpuFlags', $flags);

opendir my $folder, '/in/probe' or die "/in/probe: $!";
my @names = grep { !/^\./ } readdir $folder;
show('inputOrder', "@names");
show('inputTimes', join ' ', map { (stat "/in/probe/$_")[9] } sort @names);
opendir my $programs, '/usr/bin' or die "/usr/bin: $!";
my @programs = grep { !/^\./ } readdir $programs;
show('imageOrder', "@programs[0 .. 9]");
# statfs, number 137: the first word is the type of the file system.
my $statfs = "\0" x 120;
my $build = '/build';
syscall 137, $build, $statfs;
show('buildFileSystem', sprintf '%x', unpack 'Q', $statfs);

my $policy = syscall 145, 0; # sched_getscheduler
show('scheduling', "$policy " . getpriority 0, 0);
show('workDir', readlink '/proc/self/cwd');
show('ids', "$< $(");
show('home', $ENV{HOME});
show('locale', join ' ', map { "$_:$ENV{$_}" } grep { /^(LC_|LANG)/ } sort keys %ENV);
show('timeZone', $ENV{TZ});
show('umask', sprintf '%03o', umask);
show('environment', join ' ', "PATH:$ENV{PATH}", sort keys %ENV);
show('stdin', readlink('/proc/self/fd/0') =~ /^(pipe)/ ? $1 : readlink '/proc/self/fd/0');
show('rlimits', join ' ', read_file('/proc/self/limits') =~ /^Max (?:open files|stack size)\s+(\S+)/mg);
