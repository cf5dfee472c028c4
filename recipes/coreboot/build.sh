#!/usr/bin/env bash
# Builds coreboot for one board, with Linux and its initramfs as the payload.
#   /in/coreboot.tar.xz                    coreboot's source, without git and without blobs
#   /in/linux/bzImage
#   /in/initramfs/initramfs.cpio.xz
#   /recipe/platform/coreboot.defconfig    what this board wants
#   $KERNEL_COMMAND_LINE                   what the board's kernel is told
#   -> /out/coreboot.rom, /out/config, /out/cbfs.txt
set -euo pipefail

fail() { printf 'coreboot: %s\n' "$*" >&2; exit 1; }

: "${KERNEL_COMMAND_LINE:?}"

mkdir coreboot
xz -dc "-T$VMBUILD_JOBS" /in/coreboot.tar.xz | tar -x -C coreboot --strip-components=1 --no-same-owner
cd coreboot
for patch in /recipe/patches/*.patch; do
  patch -p1 --no-backup-if-mismatch --fuzz=0 -s < "$patch"
done

# The whole configuration ends up in the ROM, so the payload is named relative to the source's folder.
mkdir site-local
cp /in/linux/bzImage /in/initramfs/initramfs.cpio.xz site-local/
{
  cat /recipe/platform/coreboot.defconfig
  cat <<CONFIG
CONFIG_ANY_TOOLCHAIN=y
CONFIG_PAYLOAD_LINUX=y
CONFIG_PAYLOAD_FILE="site-local/bzImage"
CONFIG_LINUX_INITRD="site-local/initramfs.cpio.xz"
CONFIG_LINUX_COMMAND_LINE="$KERNEL_COMMAND_LINE"
CONFIG
} > wanted
cp wanted .config
make -s olddefconfig >../build.log 2>&1 || { tail -n 60 ../build.log >&2; fail 'the configuration was refused'; }

/recipe/check-wanted.sh .config wanted

make "-j$VMBUILD_JOBS" >../build.log 2>&1 || { tail -n 100 ../build.log >&2; fail 'the ROM did not build'; }

rom=build/coreboot.rom
[[ -f $rom ]] || fail "$rom was not made"
size=$(sed -n 's/^CONFIG_ROM_SIZE=//p' .config)
(($(stat -c %s "$rom") == size)) || fail "$rom has $(stat -c %s "$rom") bytes, the flash has $((size))"
build/util/cbfstool/cbfstool "$rom" print > /out/cbfs.txt
for part in bootblock fallback/romstage fallback/ramstage fallback/payload; do
  grep -q "^$part " /out/cbfs.txt || fail "$part is not in the ROM"
done
! grep -qF -- "$PWD" .config || fail 'the configuration, which goes into the ROM, names a path of the build'
install -m 0644 "$rom" /out/coreboot.rom
install -m 0644 .config /out/config
cat /out/cbfs.txt
