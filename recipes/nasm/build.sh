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
# configure adds -g3 behind our -g0. strip takes that debug information away again, but the linker's build ID, which would
# stay, is a hash over it, and the path of the build stands in it.
export LDFLAGS='-Wl,--build-id=none'
quietly ./configure --prefix="$prefix" --build="$machine" --host="$machine"
quietly make "-j$VMBUILD_JOBS" nasm
install -D nasm /out/bin/nasm
finish 2500000
