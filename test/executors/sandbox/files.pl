# Files: what is not for the step to read, and what is not for it to change.

my @around = ('', '/proc/1/root', '/proc/self/root/../../..', '/proc/self/cwd/../../../..', '../../../../../../../../..');

provable 'a file in a home of the machine', 'home', sub { any_of(map { my $prefix = $_; sub { leak("$prefix$bait{home}") } } @around) };
provable 'the store, beyond the inputs', 'store', sub { any_of(map { my $prefix = $_; sub { leak("$prefix$bait{store}") } } @around) };
provable 'files of another build', 'build', sub { any_of(map { my $prefix = $_; sub { leak("$prefix$bait{build}") } } @around) };
# Root of the machine may open by handle whatever it knows the number of.
provable 'a file of the machine by its handle', 'handle', sub {
  my $handle = pack 'H*', $bait{handle} // '00' x 16;
  any_of(map { my $folder = $_; sub { sysopen my $mount, $folder, O_RDONLY; call('open_by_handle_at', fileno $mount, $handle, 0) } } '/', '/out', '/build');
};
provable 'a file that whoever started vmbuild had open', 'descriptors', sub {
  my ($open) = grep { $_ > 9 && (readlink "/proc/self/fd/$_" // '') !~ /^(pipe|socket):|^$/ } names('/proc/self/fd');
  return defined $open ? "descriptor $open" : undef;
};
attempt 'the root, by chroot and ..', sub { mkdir '/tmp/jail'; chroot('/tmp/jail') ? 'chroot' : undef };
attempt 'a new root, by pivot_root', sub { call('pivot_root', '/tmp', '/tmp') };

attempt 'devices of the machine', sub {
  any_of(map { my $path = "/dev/$_"; sub { sysopen(my $file, $path, O_RDONLY) ? "opened $path" : undef } }
    qw(mem kmem port kmsg sda vda nvme0n1 loop0 loop-control fuse kvm net/tun vsock vhost-vsock uinput input/event0 tty0 console snapshot));
};
attempt 'making a device', sub {
  any_of(map { my ($folder, $mode, $number) = @$_; sub { call('mknod', "$folder/device", $mode | 0666, $number) } }
    map { my $folder = $_; ([$folder, 0060000, 0x800], [$folder, 0020000, 0x101]) } qw(/tmp /out /build /dev/shm /dev));
};
attempt 'what lies behind what is hidden of /proc', sub {
  any_of(map { my $path = "/proc/$_"; sub { sysopen my $file, $path, O_RDONLY or return; sysread($file, my $text, 1) ? "read $path" : undef } }
    qw(kcore keys timer_list kpagecgroup kpagecount kpageflags pagetypeinfo slabinfo vmallocinfo sched_debug));
};
attempt 'anything in /sys', sub { my ($name) = names('/sys'); defined $name ? "/sys/$name" : undef };

attempt 'changing an input', sub {
  any_of(
    (map { my $path = $_; sub { writable($path) } } '/in/tree/file', '/in/file'),
    sub { truncate('/in/file', 0) ? 'truncate' : undef },
    sub { chmod(0777, '/in/file', '/in/tree', '/in/tree/file') ? 'chmod' : undef },
    sub { utime(1, 1, '/in/file', '/in/tree') ? 'utime' : undef },
    sub { unlink('/in/tree/file', '/in/file') ? 'unlink' : undef },
    sub { rename('/in/tree/file', '/in/tree/other') || rename('/in/tree', '/in/other') ? 'rename' : undef },
    sub { mkdir('/in/new') || mkdir('/in/tree/new') || symlink('x', '/in/tree/new') ? 'a new entry' : undef },
    sub { call('setxattr', '/in/file', 'user.x', 'y', 1, 0) },
    # The same file, opened anew for writing through its descriptor.
    sub { sysopen my $file, '/in/file', O_RDONLY or die "/in/file: $!"; writable('/proc/self/fd/' . fileno $file) },
    # FS_IOC_SETFLAGS, FS_NODUMP_FL
    sub { sysopen my $file, '/in/file', O_RDONLY; my $flags = pack 'L', 0x40; ioctl($file, 0x40086602, $flags) ? 'its flags' : undef },
  );
};
attempt 'changing an input through a hard link in /out', sub {
  any_of(map { my $folder = $_; sub { link('/in/tree/file', "$folder/link") ? "linked to $folder" : undef } } qw(/out /build /tmp /dev/shm));
};
attempt 'changing any file of the image, an input or the recipe', sub {
  my @all = map { $_, below($_) } map { "/$_" } grep { !/^(proc|dev|sys|build|out|tmp)$/ } names('/');
  die 'this image is empty' if @all < 1000;
  any_of(map { my $path = $_; sub { -l $path ? undef : -d $path ? (sysopen(my $file, "$path/.new", O_WRONLY | O_CREAT) ? "made a file in $path" : undef) : -f $path ? writable($path) : undef } } '/', @all);
};
attempt 'changing a setting of the kernel in /proc', sub {
  my @all = map { below("/proc/$_") } grep { !/^(\d+|self|thread-self)$/ } names('/proc');
  die 'this /proc is empty' if @all < 100;
  any_of(map { my $path = $_; sub { -f $path ? writable($path) : undef } } @all, grep { -f } map { "/proc/$_" } names('/proc'));
};
attempt 'a program that the kernel is to run when something crashes', sub { writable('/proc/sys/kernel/core_pattern') };
attempt 'a device of the machine, by its mode', sub { chmod(0600, '/dev/null') || chown(1000, 100, '/dev/zero') ? 'it was changed' : undef };

attempt 'a mount', sub {
  any_of(
    sub { call('mount', 'tmpfs', '/tmp', 'tmpfs', 0, 0) },
    sub { call('mount', 'proc', '/build', 'proc', 0, 0) },
    sub { call('mount', '/in', '/build', 0, 4096, 0) },
  );
};
attempt 'a writable root, by remounting', sub { any_of(map { my $path = $_; sub { call('mount', 0, $path, 0, 4096 | 32, 0) } } '/', '/in', '/proc', '/recipe') };
attempt 'what lies below a mount', sub { any_of(map { my $path = $_; sub { call('umount2', $path, 2) } } '/proc/keys', '/proc', '/dev', '/sys', '/in', '/') };
attempt 'a mount by the newer system calls', sub { any_of(sub { call('fsopen', 'tmpfs', 0) }, sub { call('open_tree', -100, '/', 1) }) };
