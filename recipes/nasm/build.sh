#!/usr/bin/env bash
# Builds nasm.
#   /in/nasm.tar.xz
#   -> /out/bin/nasm
set -euo pipefail
# shellcheck source=recipes/shared/toolchain.sh
. /recipe/toolchain.sh

mkdir source
xz -dc /in/nasm.tar.xz | tar -x -C source --strip-components=1 --no-same-owner
cd source
# --disable-gdb: else configure adds -ggdb3 behind our -g0. strip takes that debug information away again, but the
# linker's build ID, which stays, is a hash over it, and the path of the build stands in it.
quietly ./configure --prefix="$prefix" --build="$machine" --host="$machine" --disable-gdb
quietly make "-j$VMBUILD_JOBS" nasm
install -D nasm /out/bin/nasm
finish 2500000
