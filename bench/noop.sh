#!/usr/bin/env bash
# The cost of finding that nothing is to be done, beside the start of Node itself, in one run: medians of N rounds.
#
#   bench/noop.sh TARGET [ROUNDS]     the target must be realised already, in VMBUILD_STORE
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:?usage: bench/noop.sh TARGET [ROUNDS]}
rounds=${2:-20}
node=$here/node_modules/.bin/node

# median COMMAND…: milliseconds of wall time.
median() {
  local i start end
  for ((i = 0; i < rounds; i++)); do
    start=$(date +%s%N)
    "$@" >/dev/null 2>&1
    end=$(date +%s%N)
    echo $(((end - start) / 1000))
  done | sort -n | awk '{ t[NR] = $1 } END { printf "%.1f", t[int((NR + 1) / 2)] / 1000 }'
}

"$here/bin/vmbuild" realize "$target" >/dev/null
bare=$(median "$node" -e 0)
noop=$(median "$here/bin/vmbuild" realize "$target")
printf 'node -e 0            %s ms\n' "$bare"
printf 'no-op realize        %s ms\n' "$noop"
awk -v a="$noop" -v b="$bare" 'BEGIN { printf "ratio                %.1f\n", a / b }'
