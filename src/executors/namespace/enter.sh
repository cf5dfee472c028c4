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
echo "$hostname" >/proc/sys/kernel/hostname

# The loopback interface, which is down in a new network namespace. The image's perl stands in where
# the machine has no ip(8): 0x8914 is SIOCSIFFLAGS, 0x41 is IFF_UP|IFF_RUNNING.
if command -v ip >/dev/null 2>&1; then
  ip link set lo up
elif [ -x "$root/usr/bin/perl" ]; then
  # shellcheck disable=SC2016 # the dollar signs are perl's
  chroot "$root" /usr/bin/perl -e 'socket(my $s, 2, 2, 0); ioctl($s, 0x8914, pack("a16s", "lo", 0x41)) or die "lo: $!"'
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
# change what the machine's programs do on the way in. The command is process 1 of its namespace.
exec setpriv --no-new-privs \
  unshare --user --map-user="$uid" --map-group="$gid" --root="$root" --wd=/build \
  /usr/bin/env -i "$@"
