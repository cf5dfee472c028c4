#!/usr/bin/env bash
# Builds the initramfs: u-root's init, shell and tools, and vmboot with gokvm, in one Go binary; beside it the
# firmware that vmboot falls back to.
#   /in/go                 the Go toolchain (GOROOT)
#   /in/gomod              every module of go.sum, in the layout of a module proxy
#   /in/gokvm              gokvm with our patches
#   /in/vmboot             vmboot's source, a package of the module
#   /in/edk2/CLOUDHV.fd
#   /recipe/go.mod,go.sum  exactly which modules
#   /recipe/commands.txt   which commands
#   /recipe/uinit          what runs at boot
#   -> /out/initramfs.cpio.zst
set -euo pipefail
# The archive takes the mode of the program over from the file that go writes.
umask 022

fail() { printf 'u-root: %s\n' "$*" >&2; exit 1; }

# The modules were checked against go.sum's hashes when they were fetched, and go checks them once
# more; asking a checksum database would need the network.
export GOROOT=/in/go GOTOOLCHAIN=local GOPROXY=file:///in/gomod GONOSUMDB='*' GOFLAGS='-mod=mod -trimpath -buildvcs=false'
export GOPATH=/build/go GOCACHE=/build/go-cache GOENV=off GOTELEMETRY=off GOMAXPROCS="$VMBUILD_JOBS"
export GOOS=linux GOARCH=amd64 GOAMD64=v1 CGO_ENABLED=0
export PATH="$GOROOT/bin:$PATH"

# go may write to both, so it gets copies; that it had no reason to is checked below.
here=$PWD
mkdir -p module/vmboot
cp /recipe/go.mod /recipe/go.sum module/
cp /in/vmboot/*.go module/vmboot/
cd module
go mod edit -replace github.com/bobuhiro11/gokvm=/in/gokvm
cp go.mod ../go.mod.wanted

go build -o ../mkuimage github.com/u-root/mkuimage/cmd/mkuimage

mapfile -t commands < <(grep -v -e '^#' -e '^$' /recipe/commands.txt)
# -initcmd: without it the archive has no /init. -trimpath in mkuimage itself makes GOROOT necessary.
../mkuimage -o "$here/initramfs.cpio" -format cpio -initcmd init -defaultsh gosh \
  -files /recipe/uinit:bin/uinit -files /in/edk2/CLOUDHV.fd:lib/firmware/CLOUDHV.fd "${commands[@]}"

cmp go.mod ../go.mod.wanted || fail 'go.mod does not list exactly what the build uses'
cmp go.sum /recipe/go.sum || fail 'go.sum does not list exactly what the build uses'

cd ..
for path in init bin/uinit bbin/bb bbin/vmboot bbin/gosh lib/firmware/CLOUDHV.fd; do
  # an archive member: magic, thirteen numbers of eight digits, name, NUL
  grep -qaP "070701[0-9A-Fa-f]{104}$path\\x00" initramfs.cpio || fail "$path is missing from the initramfs"
done
# zstd, because the kernel unpacks it in less than half of the time that xz takes; it costs 7 % of size. One thread, because with more of
# them zstd may cut elsewhere.
zstd -q --ultra -22 --single-thread -c initramfs.cpio > /out/initramfs.cpio.zst
(($(stat -c %s /out/initramfs.cpio.zst) > 1000000)) || fail 'the initramfs is far too small'
printf 'u-root: %s commands, %s bytes, %s compressed\n' "${#commands[@]}" \
  "$(stat -c %s initramfs.cpio)" "$(stat -c %s /out/initramfs.cpio.zst)"
