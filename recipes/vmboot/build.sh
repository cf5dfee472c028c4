#!/usr/bin/env bash
# Tests vmboot, and hands over its source for the initramfs.
#   /in/go, /in/gomod        the Go toolchain, and every module of the initramfs
#   /in/gokvm                gokvm with our patches
#   /recipe/go.mod,go.sum    the initramfs's module, in which vmboot is a package
#   /recipe/*.go
#   -> /out/*.go             without the tests
set -euo pipefail

fail() { printf 'vmboot: %s\n' "$*" >&2; exit 1; }

export GOROOT=/in/go GOTOOLCHAIN=local GOPROXY=file:///in/gomod GONOSUMDB='*' GOFLAGS='-mod=mod -trimpath -buildvcs=false'
export GOPATH=/build/go GOCACHE=/build/go-cache GOENV=off GOTELEMETRY=off GOMAXPROCS="$VMBUILD_JOBS" CGO_ENABLED=0
export PATH="$GOROOT/bin:$PATH"

mkdir -p module/vmboot
cp /recipe/go.mod /recipe/go.sum module/
cp /recipe/*.go module/vmboot/
cd module
go mod edit -replace github.com/bobuhiro11/gokvm=/in/gokvm
unformatted=$(gofmt -l vmboot)
[[ -z $unformatted ]] || { gofmt -d vmboot >&2; fail "gofmt wants other lines in: $unformatted"; }
go vet ./vmboot
go test ./vmboot
for file in vmboot/*.go; do
  [[ $file == *_test.go ]] || install -m 0644 "$file" /out/
done
