#!/usr/bin/env bash
# Builds CLOUDHV.fd, the UEFI firmware that gokvm starts through its PVH entry.
#   /in/edk2.tar.xz   EDK2's source, with openssl and the like inside
#   -> /out/CLOUDHV.fd
set -euo pipefail

fail() { printf 'edk2: %s\n' "$*" >&2; exit 1; }

# The path length of a build leaks into EDK2's images. The sandbox's path is fixed, and the patch
# below takes the leak away as well.
mkdir edk2
xz -dc "-T$VMBUILD_JOBS" /in/edk2.tar.xz | tar -x -C edk2 --strip-components=1 --no-same-owner
cd edk2

# The files have DOS line ends, patches in this folder have Unix ones.
for patch in /recipe/patches/*.patch; do
  mapfile -t touched < <(sed -n 's,^+++ b/,,p' "$patch")
  sed -i 's/\r$//' "${touched[@]}"
  patch -p1 --no-backup-if-mismatch --fuzz=0 -s < "$patch"
done

# What edksetup.sh would do; it cannot be read under `set -u`, and takes the caller's arguments for its own.
export WORKSPACE=$PWD EDK_TOOLS_PATH=$PWD/BaseTools CONF_PATH=$PWD/Conf
export PATH="$EDK_TOOLS_PATH/BinWrappers/PosixLike:$PATH"
# Hash order decides the order of generated code; bytecode files would only be left lying about.
export PYTHON_COMMAND=python3 PYTHONHASHSEED=1 PYTHONDONTWRITEBYTECODE=1
export HOST_ARCH=X64
for name in build_rule tools_def target; do
  sed 's/\r$//' "BaseTools/Conf/$name.template" > "Conf/$name.txt"
done

make -s -C BaseTools/Source/C "-j$VMBUILD_JOBS" > ../basetools.log 2>&1 ||
  { tail -n 60 ../basetools.log >&2; fail 'the build tools did not build'; }

# Without iSCSI: that driver only ever starts when QEMU's fw_cfg asks for it, which gokvm does not
# have. It is also the one module whose PCD has two default values of different length, and which of
# them decides the size of the generated array is a race.
# The shell waits 5 seconds for a key before it looks for startup.nsh; nobody is there to press one.
options=(
  -a X64 -t GCC5 -b RELEASE -p OvmfPkg/CloudHv/CloudHvX64.dsc -n "$VMBUILD_JOBS"
  -D NETWORK_ISCSI_ENABLE=FALSE
  --pcd gEfiShellPkgTokenSpaceGuid.PcdShellDefaultDelay=0
)
build "${options[@]}" > ../build.log 2>&1 ||
  { grep -n -i -B5 -A20 'error' ../build.log | head -n 150 >&2 || true
    tail -n 60 ../build.log >&2; fail 'CLOUDHV.fd did not build'; }

image=Build/CloudHvX64/RELEASE_GCC5/FV/CLOUDHV.fd
[[ -f $image ]] || fail "$image was not made"
(($(stat -c %s "$image") == 4 * 1024 * 1024)) || fail "$image has $(stat -c %s "$image") bytes, not 4 MiB"
[[ $(od -An -tx1 -N4 "$image") == ' 7f 45 4c 46' ]] || fail "$image has no ELF header, gokvm could not load it"
! grep -qaF -- "$WORKSPACE" "$image" || fail "$image contains the path of the build"
install -m 0644 "$image" /out/CLOUDHV.fd
printf 'edk2: CLOUDHV.fd has %s bytes\n' "$(stat -c %s /out/CLOUDHV.fd)"
