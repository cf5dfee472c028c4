#!/usr/bin/env bash
# What vmbuild costs beside the compilers: realises a target into an empty store and compares the CPU time of vmbuild
# itself (fetching, checking, assembling images, hashing) with that of the steps, in one run.
#
#   bench/cold.sh [TARGET] [realize options…]     default: u-root
#
# Run it on an idle machine. The goal for rom-qemu-q35: all CPU time at most 1.1 times that of the steps.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-u-root}
(($# == 0)) || shift
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# Node writes down its own CPU time, threads included, when it ends. Its children are not in that.
cat >"$work/usage.mjs" <<'JS'
import { writeFileSync } from 'node:fs';
process.on('exit', () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  writeFileSync(process.env.USAGE_FILE, String((userCPUTime + systemCPUTime) / 1e6));
});
JS

TIMEFORMAT='%R %U %S'
exec 3>&2
times=$({
  time USAGE_FILE="$work/own" NODE_OPTIONS="--import=$work/usage.mjs" \
    "$here/bin/vmbuild" --store "$work/store" realize "$target" "$@" >&3 2>&3
} 2>&1)
read -r wall user system <<<"$times"
own=$(cat "$work/own")
awk -v wall="$wall" -v all="$user" -v sys="$system" -v own="$own" -v cores="$(nproc)" 'BEGIN {
  all += sys; steps = all - own
  printf "wall %.0f s, CPU %.0f s: steps %.0f s, vmbuild %.1f s\n", wall, all, steps, own
  printf "all / steps = %.3f, cores busy %.0f %%\n", all / steps, 100 * all / (wall * cores)
}'
