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
quietly ./configure --prefix="$prefix" --build="$machine" --host="$machine"
quietly make "-j$VMBUILD_JOBS" nasm
install -D nasm /out/bin/nasm
finish 2500000
