#!/usr/bin/env bash
# Takes coreboot's patches for its compiler out of its source.
#   /in/coreboot.tar.xz
#   -> /out/binutils-<version>_<what>.patch, /out/gcc-<version>_<what>.patch
set -euo pipefail

xz -dc /in/coreboot.tar.xz |
  tar -x -C /out --strip-components=4 --no-same-owner --wildcards \
    'coreboot-*/util/crossgcc/patches/binutils-*.patch' 'coreboot-*/util/crossgcc/patches/gcc-*.patch'
ls /out
