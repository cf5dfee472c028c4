#!/usr/bin/env bash
# Builds QEMU's emulator of a PC; it is linked to libraries of the image `qemu`.
#   /in/qemu.tar.xz       Debian's archive, which lacks the firmware and manuals that are binaries
#   /recipe/patches/
#   -> /out/bin/qemu-system-x86_64
set -euo pipefail

fail() { printf 'qemu: %s\n' "$*" >&2; exit 1; }

mkdir source
xz -dc /in/qemu.tar.xz | tar -x -C source --strip-components=1 --no-same-owner
cd source
for patch in /recipe/patches/*.patch; do
  patch -p1 --no-backup-if-mismatch --batch -s <"$patch" || fail "$patch does not apply"
done
# configure wants it for QEMU's own tests, which are not built; Debian's archive lacks the copy.
sed -i '/^pycotap/d' pythondeps.toml

# A plain PC: what its machine is made of, user networking, and no accelerator but the emulation.
# The linker's build ID is a hash over debug information too, and paths stand in that.
export LDFLAGS='-Wl,--build-id=none'
options=(
  --target-list=x86_64-softmmu --without-default-features --enable-slirp --disable-download --disable-werror
  --disable-debug-info --disable-install-blobs --prefix=/usr --extra-cflags="-O2 -g0 -ffile-prefix-map=$PWD/="
)
./configure "${options[@]}" >configure.log 2>&1 || { tail -n 40 configure.log >&2; fail 'configure failed'; }
ninja -C build "-j$VMBUILD_JOBS" qemu-system-x86_64 >ninja.log 2>&1 || { tail -n 60 ninja.log >&2; fail 'the build failed'; }
install -D build/qemu-system-x86_64 /out/bin/qemu-system-x86_64
strip /out/bin/qemu-system-x86_64
! grep -qF "$PWD" /out/bin/qemu-system-x86_64 || fail 'a folder of the build stands in the program'
/out/bin/qemu-system-x86_64 --version
printf '%s bytes\n' "$(stat -c %s /out/bin/qemu-system-x86_64)"
