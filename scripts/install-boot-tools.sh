#!/bin/sh
# Installs what scripts/boot-qemu.sh and scripts/make-efi-disk.sh need (Debian, Ubuntu; root).
set -eu
need=''
command -v qemu-system-x86_64 >/dev/null || need="$need qemu-system-x86"
command -v mkfs.xfs >/dev/null || need="$need xfsprogs"
command -v mkfs.vfat >/dev/null || need="$need dosfstools"
command -v mcopy >/dev/null || need="$need mtools"
[ -n "$need" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "install-boot-tools: run as root: apt-get install$need" >&2; exit 1; }
# shellcheck disable=SC2086 # a list of package names
apt-get install -y --no-install-recommends $need || { apt-get update && apt-get install -y --no-install-recommends $need; }
