#!/usr/bin/env bash
# Builds the kernel that lives in flash: everything built in, no modules.
#   /in/linux.tar.xz                    the kernel's source
#   /recipe/linux.fragment              what every platform wants
#   /recipe/platform/linux.fragment     what this platform wants; wins over the shared one
#   -> /out/bzImage, /out/config
set -euo pipefail

fail() { printf 'linux: %s\n' "$*" >&2; exit 1; }

fragments=(/recipe/linux.fragment /recipe/platform/linux.fragment)

# Whatever the kernel would otherwise ask the machine for.
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S UTC')
export KBUILD_BUILD_TIMESTAMP
export KBUILD_BUILD_USER=vmbuild KBUILD_BUILD_HOST=vmbuild KBUILD_BUILD_VERSION=1

# More than half of the tree cannot take part in this build: other architectures, the bodies of
# drivers for screens, sound, cameras and the like, documentation. Kconfig files and Makefiles stay,
# because kbuild reads all of them.
exclude=(
  'arch/[!x]*/*.[chS]' 'arch/*.dts*' 'Documentation/*/*'
  'tools/perf/*' 'tools/testing/*' 'tools/bpf/*' 'tools/power/*'
)
for dir in drivers/gpu sound drivers/media drivers/staging drivers/infiniband drivers/iio \
  drivers/net/wireless drivers/net/ethernet/mellanox drivers/crypto drivers/video; do
  exclude+=("$dir/*.[ch]")
done
mkdir linux
xz -dc "-T$VMBUILD_JOBS" /in/linux.tar.xz |
  tar -x -C linux --strip-components=1 --no-same-owner \
    "${exclude[@]/#/--exclude=linux-*/}"
cd linux

make -s "-j$VMBUILD_JOBS" tinyconfig >/dev/null
# The merge tool's own report takes a line that a later fragment overrides on purpose for trouble, and
# is not an error anyway; check-wanted.sh is the one that decides.
scripts/kconfig/merge_config.sh -m -Q .config "${fragments[@]}" >/dev/null
make -s olddefconfig

/recipe/check-wanted.sh .config "${fragments[@]}"

make -s "-j$VMBUILD_JOBS" bzImage

image=arch/x86/boot/bzImage
# 0x53726448 ("HdrS") at 0x202 is what makes a file a bzImage.
[[ $(dd if="$image" bs=1 skip=$((0x202)) count=4 status=none) == HdrS ]] || fail "$image is no bzImage"
(($(stat -c %s "$image") > 1000000)) || fail "$image is far too small"
install -m 0644 "$image" /out/bzImage
install -m 0644 .config /out/config
printf 'linux: bzImage has %s bytes\n' "$(stat -c %s /out/bzImage)"
