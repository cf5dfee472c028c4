#!/usr/bin/env bash
# What one round of `vmbuild verify` costs in CPU time over a plain rebuild of the same step, in the same run and one after
# the other. The goal is less than 5 % on a step that compiles something; on a trivial one it is the price of a round that shows.
#
#   verify.sh [TARGET…]      realised ones of the store (VMBUILD_STORE); bzImage-sized are telling, vmboot is quick
#   ROUNDS=3 verify.sh …     the median of as many
#
# With `--executor namespace`, so that the sandbox's processes are children and their time is in it; a daemon's is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vmbuild=$here/../bin/vmbuild
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'

# cpu NAME COMMAND…: runs it, and appends seconds of processor time, its children's with it, to a file.
cpu() {
  local name=$1
  shift
  { time "$@" >"$work/output" 2>&1; } 2>"$work/time" || {
    tail -n 5 "$work/output" >&2
    exit 1
  }
  awk '{ print $1 + $2 }' "$work/time" >>"$work/$name"
}

middle() { sort -n "$1" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }

printf '%-24s %12s %12s %10s %8s\n' '' 'rebuild s' 'verify s' 'more s' 'more %'
for target in "${@:-vmboot}"; do
  rm -f "$work/rebuild" "$work/verify"
  for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    cpu rebuild "$vmbuild" realize "$target" --rebuild --executor namespace
    cpu verify "$vmbuild" verify "$target" --depth 0 --rounds 1 --executor namespace
  done
  awk -v name="$target" -v plain="$(middle "$work/rebuild")" -v again="$(middle "$work/verify")" \
    'BEGIN { printf "%-24s %12.2f %12.2f %10.2f %8.1f\n", name, plain, again, again - plain, (again / plain - 1) * 100 }'
done
