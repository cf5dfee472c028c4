#!/usr/bin/env bash
# Applies our patches to gokvm, and runs the tests of what they touch. Tests that want /dev/kvm are not
# among them: a sandbox has none.
#   /in/go, /in/gomod             the Go toolchain, and every module of the initramfs
#   /recipe/go.mod,go.sum         which of them
#   /recipe/patches/*.patch       in the order of their names
#   -> /out                       gokvm's source, patched
set -euo pipefail

export GOROOT=/in/go GOTOOLCHAIN=local GOPROXY=file:///in/gomod GONOSUMDB='*' GOFLAGS='-mod=mod -trimpath -buildvcs=false'
export GOPATH=/build/go GOCACHE=/build/go-cache GOENV=off GOTELEMETRY=off GOMAXPROCS="$VMBUILD_JOBS" CGO_ENABLED=0
export PATH="$GOROOT/bin:$PATH"

module=github.com/bobuhiro11/gokvm
mkdir initramfs
cp /recipe/go.mod /recipe/go.sum initramfs/
cd initramfs
# The download is checked against go.sum.
go mod download "$module"
cp -r "$(go list -m -f '{{.Dir}}' "$module")" ../gokvm
chmod -R u+w ../gokvm

for patch in /recipe/patches/*.patch; do
  patch -d ../gokvm -p1 --no-backup-if-mismatch --fuzz=0 -s < "$patch"
done

go mod edit -replace "$module=../gokvm"
go test "$module"/{acpi,iodev,memory,pci,serial,virtio}
# Those inside the package; the others, of package machine_test, want /dev/kvm.
mapfile -t inside < <(grep -l '^package machine$' ../gokvm/machine/*_test.go)
tests=$(sed -n 's/^func \(Test[A-Za-z0-9]*\)(.*/\1/p' "${inside[@]}" | paste -sd'|')
go test -run "^($tests)\$" "$module/machine"

cd ../gokvm
# Only what go build reads.
find . -type f \( -name '*.go' -o -name '*.s' -o -name 'go.*' -o -name LICENSE \) -print0 | xargs -0 cp --parents -t /out
