#!/usr/bin/env bash
# Builds binutils for i386-elf, which also know x86-64.
#   /in/binutils.tar.xz, /in/patches/binutils-*.patch
#   -> /out/bin/i386-elf-*, /out/i386-elf/
set -euo pipefail
# shellcheck source=recipes/shared/toolchain.sh
. /recipe/toolchain.sh

mkdir source build
# Of the test suites configure wants the folders.
xz -dc "-T$VMBUILD_JOBS" /in/binutils.tar.xz |
  tar -x -C source --strip-components=1 --no-same-owner --wildcards \
    --exclude='binutils-*/*/testsuite/*/*'
(cd source && patch_with /in/patches/binutils-*.patch)
cd build
options=(
  --prefix="$prefix" --build="$machine" --host="$machine" --target="$target" --enable-targets='i386-elf,x86_64-elf'
  --enable-deterministic-archives
  --disable-gdb --disable-gold --disable-gprof --disable-gprofng --disable-lto --disable-multilib --disable-nls
  --disable-plugins --disable-shared --disable-werror --without-zstd
)
quietly ../source/configure "${options[@]}"
quietly make "-j$VMBUILD_JOBS" MAKEINFO=true
quietly make "DESTDIR=$PWD/root" MAKEINFO=true install
cd ..

top=build/root$prefix
cp -r "$top/bin" "$top/$target" /out/
# The same programs stand here a second time, for gcc.
for program in "/out/$target/bin"/*; do
  name=${program##*/}
  cmp "$program" "/out/bin/$target-$name"
  ln -sf "../../bin/$target-$name" "$program"
done
finish 40000000
