#!/usr/bin/env bash
# Builds coreboot for one board, with Linux and its initramfs as the payload.
#   /in/coreboot.tar.xz                    coreboot's source, without git and without blobs
#   /in/linux/bzImage
#   /in/initramfs/initramfs.cpio.zst
#   /in/toolchain/                         the compiler, and its assemblers and linker
#   /recipe/platform/coreboot.defconfig    what this board wants
#   /recipe/platform/mainboard/            the board, if coreboot lacks it: <vendor>/<board>/…
#   /recipe/platform/flash.fmd             the flash layout, if it is not coreboot's own
#   /recipe/platform/fsp.json              the binary interface of the FSP, if the board needs one
#   $KERNEL_COMMAND_LINE                   what the board's kernel is told
#   -> /out/coreboot.rom, /out/config, /out/flashmap.txt, /out/cbfs.txt
set -euo pipefail

fail() { printf 'coreboot: %s\n' "$*" >&2; exit 1; }

: "${KERNEL_COMMAND_LINE:?}"

mkdir coreboot
xz -dc "-T$VMBUILD_JOBS" /in/coreboot.tar.xz | tar -x -C coreboot --strip-components=1 --no-same-owner
cd coreboot
for patch in /recipe/patches/*.patch; do
  patch -p1 --no-backup-if-mismatch --fuzz=0 -s < "$patch"
done

# The whole configuration ends up in the ROM, so whatever it names is named relative to the source's folder.
mkdir site-local
cp /in/linux/bzImage /in/initramfs/initramfs.cpio.zst site-local/
of_platform=()
if [[ -d /recipe/platform/mainboard ]]; then
  for board in /recipe/platform/mainboard/*/*/; do
    place=src/mainboard/${board#/recipe/platform/mainboard/}
    [[ ! -e $place ]] || fail "coreboot has ${place%/} itself"
    mkdir -p "$place"
    cp -r "$board." "$place"
  done
  of_platform+=(/recipe/platform/mainboard)
fi
{
  if [[ -f /recipe/platform/flash.fmd ]]; then
    cp /recipe/platform/flash.fmd site-local/
    echo 'CONFIG_FMDFILE="site-local/flash.fmd"'
  fi
  if [[ -f /recipe/platform/fsp.json ]]; then
    python3 -B /recipe/fsp-headers.py /recipe/platform/fsp.json site-local/fsp
    echo 'CONFIG_FSP_HEADER_PATH="site-local/fsp/"'
  fi
  cat /recipe/platform/coreboot.defconfig
  cat <<CONFIG
CONFIG_PAYLOAD_LINUX=y
CONFIG_PAYLOAD_FILE="site-local/bzImage"
CONFIG_LINUX_INITRD="site-local/initramfs.cpio.zst"
CONFIG_LINUX_COMMAND_LINE="$KERNEL_COMMAND_LINE"
CONFIG
} > wanted
python3 -B /recipe/check-symbols.py . wanted "${of_platform[@]}"
cp wanted .config
# coreboot looks for a compiler here first, and takes none but one with its own patches. What runs on this machine,
# such as cbfstool, is compiled with the image's.
export XGCCPATH=/in/toolchain/bin/
make -s olddefconfig >../build.log 2>&1 || { tail -n 60 ../build.log >&2; fail 'the configuration was refused'; }

/recipe/check-wanted.sh .config wanted

make "-j$VMBUILD_JOBS" >../build.log 2>&1 || { tail -n 100 ../build.log >&2; fail 'the ROM did not build'; }
# What coreboot found: it goes on looking elsewhere if it cannot use what stands there.
for tool in GCC_CC_x86_32:=/in/toolchain/bin/i386-elf-gcc IASL:=/in/toolchain/bin//iasl NASM:=/in/toolchain/bin//nasm; do
  grep -qFx "$tool" build/xcompile || fail "coreboot was compiled with other tools than ours: ${tool%%:=*}"
done

rom=build/coreboot.rom
[[ -f $rom ]] || fail "$rom was not made"
size=$(sed -n 's/^CONFIG_ROM_SIZE=//p' .config)
(($(stat -c %s "$rom") == size)) || fail "$rom has $(stat -c %s "$rom") bytes, the flash has $((size))"
build/util/cbfstool/cbfstool "$rom" layout -w > /out/flashmap.txt
build/util/cbfstool/cbfstool "$rom" print > /out/cbfs.txt
for part in bootblock fallback/romstage fallback/ramstage fallback/payload; do
  grep -q "^$part " /out/cbfs.txt || fail "$part is not in the ROM"
done
! grep -qF -- "$PWD" .config || fail 'the configuration, which goes into the ROM, names a path of the build'
install -m 0644 "$rom" /out/coreboot.rom
install -m 0644 .config /out/config
cat /out/flashmap.txt /out/cbfs.txt
