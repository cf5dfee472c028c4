#!/usr/bin/env bash
# Makes disks as vmboot looks for them: one partition, CLOUDHV.fd at the top of its file system. No root, no loop devices.
#   /in/edk2/CLOUDHV.fd
#   -> /out/xfs.img, ext4.img, vfat.img
# Every id that a tool would draw by lot is given, and every time is $SOURCE_DATE_EPOCH.
set -euo pipefail
# File systems keep the modes of what is copied into them; FAT keeps local time.
umask 022
export TZ=UTC

readonly uuid=6f0c7b1e-56b2-4b55-9d0a-766d626f6f74
cp /in/edk2/CLOUDHV.fd .
touch -d "@$SOURCE_DATE_EPOCH" CLOUDHV.fd

# mkfs.xfs has no switch for a small file system, and refuses less than 300 MB. Almost all of it stays a hole.
truncate -s 320M xfs
printf '%s\n' /none '0 0' 'd--755 0 0' 'CLOUDHV.fd ---644 0 0 CLOUDHV.fd' '$' > proto
mkfs.xfs -q -L vmboot -m "uuid=$uuid" -p proto xfs
# mkfs.xfs takes the times of inodes from the clock. The first four are the root, two of the real-time device, the file.
# Every inode of their chunk has a generation drawn by lot, also the sixty that nothing uses (XFS Algorithms & Data
# Structures, "Inode Allocation": 64 inodes a chunk).
root=$(xfs_db -r -c 'sb 0' -c 'print rootino' xfs | awk '{ print $3 }')
writes=()
for number in {0..63}; do
  writes+=(-c "inode $((root + number))" -c 'write core.gen 0')
  ((number < 4)) || continue
  for time in core.atime core.mtime core.ctime v3.crtime; do
    writes+=(-c "write $time.sec $SOURCE_DATE_EPOCH" -c "write $time.nsec 0")
  done
done
xfs_db -x "${writes[@]}" xfs >/dev/null

mkdir top
cp CLOUDHV.fd top/
/recipe/make-ext4.sh top ext4 32M vmboot

truncate -s 64M vfat
mkfs.vfat --invariant -F 32 -n VMBOOT vfat >/dev/null
mcopy -m -i vfat CLOUDHV.fd ::CLOUDHV.fd

# The partition table is one entry, so it is written by hand: type 0x83 from sector 2048 on.
for kind in xfs ext4 vfat; do
  sectors=$(($(stat -c %s "$kind") / 512))
  truncate -s 446 table
  printf '%b' "$(printf '\\x00\\xfe\\xff\\xff\\x83\\xfe\\xff\\xff\\x00\\x08\\x00\\x00\\x%02x\\x%02x\\x%02x\\x%02x' \
    $((sectors & 255)) $((sectors >> 8 & 255)) $((sectors >> 16 & 255)) $((sectors >> 24 & 255)))" >> table
  truncate -s 510 table
  printf '\x55\xaa' >> table
  dd if="$kind" of=table bs=1M seek=1 conv=notrunc,sparse status=none
  truncate -s $(((2048 + sectors) * 512)) table
  cp --sparse=always table "/out/$kind.img"
  rm table
done
