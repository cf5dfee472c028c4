#!/usr/bin/env bash
# Builds those of coreboot's tools that work on finished images.
#   /in/coreboot.tar.xz
#   -> /out/cbfstool, /out/ifittool, /out/ifdtool, which run in the image that they were built in
set -euo pipefail

fail() { printf 'coreboot-tools: %s\n' "$*" >&2; exit 1; }

mkdir coreboot
xz -dc "-T$VMBUILD_JOBS" /in/coreboot.tar.xz | tar -x -C coreboot --strip-components=1 --no-same-owner
cd coreboot/util

make_in() {
  make -C "$1" "-j$VMBUILD_JOBS" "${@:2}" >../build.log 2>&1 || { tail -n 60 ../build.log >&2; fail "$1 did not build"; }
}
make_in cbfstool cbfstool ifittool
make_in ifdtool

for tool in cbfstool/cbfstool cbfstool/ifittool ifdtool/ifdtool; do
  strip "$tool"
  install -m 0755 "$tool" /out/
done
ls -l /out
