#!/bin/sh
# Runs inside fresh namespaces as their root (uid 0 there is the invoking user outside) and turns
# them into the sandbox of one build step, then becomes the step's command. Only util-linux is needed.
#
# usage: enter.sh ROOT FSTAB UID GID HOSTNAME NOFILE STACK_KIB [VAR=value …] COMMAND [ARG …]
# Descriptor 3 receives the word "ready" when everything is in place; without it, nothing of the
# step has run and the failure is the executor's.
set -eu
root=$1 fstab=$2 uid=$3 gid=$4 hostname=$5 nofile=$6 stack=$7
shift 7

mount --all --fstab "$fstab"

# Where the machine lacks a program, the image's perl makes the system call.
image_perl() { chroot "$root" /usr/bin/perl -e "$@"; }

# /proc/sys belongs to the machine's root; the system call is allowed to the namespace's.
if command -v hostname >/dev/null 2>&1; then
  hostname "$hostname"
else
  # shellcheck disable=SC2016 # the dollar signs are perl's; 170 is sethostname on amd64
  image_perl 'syscall(170, $ARGV[0], length $ARGV[0]) == 0 or die "sethostname: $!"' "$hostname"
fi

# The loopback interface is down in a new network namespace.
if command -v ip >/dev/null 2>&1; then
  ip link set lo up
else
  # shellcheck disable=SC2016 # 0x8914 is SIOCSIFFLAGS, 0x41 is IFF_UP|IFF_RUNNING
  image_perl 'socket(my $s, 2, 2, 0); my $r = pack("a16s", "lo", 0x41); ioctl($s, 0x8914, $r) or die "lo: $!"'
fi

# shellcheck disable=SC3045 # not POSIX, but every /bin/sh has them: dash, bash, busybox
{
  ulimit -n "$nofile"
  ulimit -s "$stack"
  ulimit -c 0
}
umask 022

echo ready >&3
exec 3>&-
# The declared environment only takes effect inside the image (its own env(1) sets it), so it cannot
# change what the machine's programs do on the way in. The command is process 1 of its namespace, and cannot
# make another user namespace to be root in: the kernel refuses that to who was chrooted, as --root does.
exec setpriv --no-new-privs \
  unshare --user --map-user="$uid" --map-group="$gid" --root="$root" --wd=/build \
  /usr/bin/env -i "$@"
