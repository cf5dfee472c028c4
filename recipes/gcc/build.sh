#!/usr/bin/env bash
# Builds gcc for i386-elf: the C compiler and libgcc.
#   /in/gcc.tar.gz              Debian's archive, which holds gcc's as an .xz
#   /in/patches/gcc-*.patch
#   /in/toolchain/              binutils for i386-elf
#   -> /out/bin/i386-elf-gcc and the like, /out/lib/gcc/
set -euo pipefail
# shellcheck source=recipes/shared/toolchain.sh
. /recipe/toolchain.sh

mkdir source build
# What other languages need, and all tests but those that the build itself reads.
exclude=(
  'gcc/testsuite/[a-rt-z]*' 'gcc/testsuite/*.exp' 'gcc/ada/*' gotools
  libada libffi libgfortran libgm2 libgo libgomp libgrust libitm libobjc libphobos libsanitizer 'libstdc++-v3' libvtv
)
gzip -dc /in/gcc.tar.gz | tar -xO --wildcards 'gcc-14-*/gcc-*-dfsg.tar.xz' | xz -dc |
  tar -x -C source --strip-components=1 --no-same-owner --wildcards "${exclude[@]/#/--exclude=gcc-*/}"
cd source
patches=()
for patch in /in/patches/gcc-*.patch; do
  case $patch in
    # For Ada and for RISC-V, neither of which is built.
    *_gnat.patch | *_musl_poisoned_calloc.patch | *_rv32iafc.patch) ;;
    *) patches+=("$patch") ;;
  esac
done
patch_with "${patches[@]}"
# The rule compares the manual, which Debian's archive leaves out, with what the code says.
# shellcheck disable=SC2016 # make expands it
sed -i -e '/^s-tm-texi: \$(srcdir)/d' -e '/^s-tm-texi: build/,/^$/c s-tm-texi:\n\t$(STAMP) $@\n' gcc/Makefile.in
cd ../build

PATH=$prefix/bin:$PATH
export CFLAGS_FOR_TARGET="-O2 -g0 -Dinhibit_libc -ffile-prefix-map=/build/="
options=(
  --prefix="$prefix" --libexecdir="$prefix/lib" --build="$machine" --host="$machine" --target="$target"
  --enable-languages=c --with-pkgversion='coreboot toolchain, built by vmbuild'
  --disable-analyzer --disable-bootstrap --disable-decimal-float --disable-gcov --disable-libatomic --disable-libcc1
  --disable-libquadmath --disable-libssp --disable-lto --disable-multilib --disable-nls --disable-plugin
  --disable-shared --disable-threads --disable-werror
  --with-gnu-as --with-gnu-ld --with-system-zlib --without-headers --without-isl --without-zstd
)
quietly ../source/configure "${options[@]}"
# CFLAGS stand in a checksum inside the compiler, so there is no path in those of the compiler itself.
quietly make "-j$VMBUILD_JOBS" MAKEINFO=true all-gcc all-target-libgcc
quietly make "DESTDIR=$PWD/root" MAKEINFO=true install-gcc install-target-libgcc
cd ..

top=build/root$prefix
cp -r "$top/bin" "$top/lib" /out/
version=$(<source/gcc/BASE-VER)
lib=/out/lib/gcc/$target/$version
# Programs that build gcc's own headers anew, and a copy of gcc under another name.
rm -rf "$lib/install-tools" "$lib/plugin" "/out/bin/$target-gcc-$version"
# Debug information is built in spite of -g0.
"$target-strip" -g "$lib"/*.a "$lib"/*.o
finish 70000000
