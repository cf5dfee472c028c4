#!/usr/bin/env bash
# Makes a disk image with one partition that holds CLOUDHV.fd where vmboot looks for it: at the top
# of a file system in a partition. Needs no root and mounts nothing.
#   scripts/make-efi-disk.sh CLOUDHV.fd OUT.img [ext4|xfs|vfat]
# ext4 is the default, because every distribution can make one.
set -euo pipefail

fail() { printf 'make-efi-disk: %s\n' "$*" >&2; exit 1; }

(($# == 2 || $# == 3)) || fail 'usage: make-efi-disk.sh CLOUDHV.fd OUT.img [ext4|xfs|vfat]'
firmware=$(realpath -e -- "$1")
image=$(realpath -m -- "$2")
kind=${3:-ext4}

# mkfs lives in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
need() { command -v "$1" >/dev/null || fail "$1 is not installed (Debian package: $2)"; }

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd "$work"
mkdir top
cp -- "$firmware" top/CLOUDHV.fd

case $kind in
  ext4)
    need mkfs.ext4 e2fsprogs
    truncate -s 32M fs
    mkfs.ext4 -q -F -L vmboot -d top fs
    ;;
  xfs)
    need mkfs.xfs xfsprogs
    # mkfs.xfs refuses less than 300 MB; almost all of it stays a hole.
    truncate -s 320M fs
    printf '%s\n' /none '0 0' 'd--755 0 0' 'CLOUDHV.fd ---644 0 0 top/CLOUDHV.fd' '$' > proto
    mkfs.xfs -q -f -L vmboot -p proto fs
    ;;
  vfat)
    need mkfs.vfat dosfstools
    need mcopy mtools
    truncate -s 64M fs
    mkfs.vfat -F 32 -n VMBOOT fs >/dev/null
    mcopy -i fs top/CLOUDHV.fd ::CLOUDHV.fd
    ;;
  *) fail "unknown file system $kind" ;;
esac

# The partition table is one entry, so it is written by hand: type 0x83, beginning at sector 2048.
sectors=$(($(stat -c %s fs) / 512))
printf '%b' "$(printf '\\x00\\xfe\\xff\\xff\\x83\\xfe\\xff\\xff\\x00\\x08\\x00\\x00\\x%02x\\x%02x\\x%02x\\x%02x' \
  $((sectors & 255)) $((sectors >> 8 & 255)) $((sectors >> 16 & 255)) $((sectors >> 24 & 255)))" > entry
truncate -s 446 disk
cat entry >> disk
truncate -s 510 disk
printf '\x55\xaa' >> disk
dd if=fs of=disk bs=1M seek=1 conv=notrunc,sparse status=none
cp --sparse=always disk "$image"
printf '%s: %s with CLOUDHV.fd\n' "$image" "$kind"
