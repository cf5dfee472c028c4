#!/usr/bin/env bash
# Makes an ext4 file system of a folder, bit for bit the same each time, without root.
#   make-ext4.sh FOLDER IMAGE SIZE LABEL
# Every id that mke2fs would draw by lot is given, and every time is $SOURCE_DATE_EPOCH.
set -euo pipefail

fail() { printf 'make-ext4: %s\n' "$*" >&2; exit 1; }

(($# == 4)) || fail 'usage: make-ext4.sh FOLDER IMAGE SIZE LABEL'
readonly folder=$1 image=$2 size=$3 label=$4
readonly uuid=6f0c7b1e-56b2-4b55-9d0a-766d626f6f74
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH

find "$folder" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
truncate -s "$size" "$image"
# lazy_itable_init: all inode tables are written now, so none is left to the kernel that mounts it
mke2fs -q -t ext4 -L "$label" -U "$uuid" -E "hash_seed=$uuid,lazy_itable_init=0,root_owner=0:0" -d "$folder" "$image"
# mke2fs copies the owner and all times, and the time of the last change cannot be set outside.
(cd "$folder" && find . -mindepth 1 -printf '/%P\n' | LC_ALL=C sort) | while read -r path; do
  for field in 'uid 0' 'gid 0' "atime @$SOURCE_DATE_EPOCH" "ctime @$SOURCE_DATE_EPOCH"; do
    printf 'set_inode_field %s %s\n' "$path" "$field"
  done
done > "$image.commands"
debugfs -w -f "$image.commands" "$image" >/dev/null 2>"$image.log"
e2fsck -fn "$image" >>"$image.log" 2>&1 || { cat "$image.log"; fail "the file system of $folder is damaged"; }
rm "$image.commands" "$image.log"
