# shellcheck shell=bash disable=SC2016,SC2015,SC2154
# (Programs of awk stand in single quotes; a bench that is left out is no failure; run.sh sets $work.)
# What the scripts here share. Sourced, not executed.

# compare ROUNDS NAME COMMAND NAME COMMAND…: runs the commands in turn, round after round, so that what else the machine does
# hits all of them alike. Prints for each: median and least wall time, median CPU time with that of its children (all in
# ms), and its median as a multiple of the first one's. A command is a word that the shell knows: a program or a function.
compare() {
  local rounds=$1 round i results
  shift
  local -a entries=("$@")
  results=$(mktemp)
  local TIMEFORMAT='%R %U %S'
  for ((round = 0; round <= rounds; round++)); do
    for ((i = 0; i < ${#entries[@]}; i += 2)); do
      local figures
      figures=$({ time "${entries[i + 1]}" >/dev/null 2>"$results.error"; } 2>&1) || {
        echo "${entries[i]}: failed" >&2
        tail -n 5 "$results.error" | cut -c 1-200 >&2
        rm -f "$results" "$results.error"
        return 1
      }
      # The first round only warms the caches.
      ((round == 0)) || printf '%d %s\n' "$i" "$figures" >>"$results"
    done
  done
  local first=
  printf '%-48s %10s %10s %10s %8s\n' '' median least CPU ratio
  for ((i = 0; i < ${#entries[@]}; i += 2)); do
    local wall least cpu
    wall=$(column "$results" "$i" '$2' | middle)
    least=$(column "$results" "$i" '$2' | head -n 1)
    cpu=$(column "$results" "$i" '$3 + $4' | middle)
    first=${first:-$wall}
    awk -v name="${entries[i]}" -v wall="$wall" -v least="$least" -v cpu="$cpu" -v first="$first" \
      'BEGIN { printf "%-48s %10.0f %10.0f %10.0f %8.2f\n", name, wall * 1000, least * 1000, cpu * 1000, wall / first }'
  done
  rm -f "$results" "$results.error"
}

column() { awk -v i="$2" "\$1 == i { print $3 }" "$1" | sort -n; }
middle() { awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }

have() { command -v "$1" >/dev/null || { echo "(without $1: it is not installed)"; return 1; }; }
have_docker() { have docker && docker version >/dev/null 2>&1 || { echo '(without Docker: no daemon answers)'; return 1; }; }

# Nix without a daemon or a user for its builds, in a store of its own.
nix_environment() {
  export NIX_STORE_DIR=$work/nix/store NIX_STATE_DIR=$work/nix/var NIX_LOG_DIR=$work/nix/log NIX_CONF_DIR=$work/nix/etc
  export HOME=$work
  mkdir -p "$NIX_CONF_DIR"
  printf 'build-users-group =\nsandbox = true\nsandbox-paths = /bin /usr /lib /lib64\nsubstitute = false\nexperimental-features = nix-command\n' >"$NIX_CONF_DIR/nix.conf"
}

# nix_graph COUNT chain|independent: an expression of COUNT trivial derivations, and one that needs them all.
nix_graph() {
  cat <<NIX
let
  make = name: script: inputs: derivation {
    inherit name inputs; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "\${script}; echo \${name} > \$out" ];
  };
  one = n: make "step-\${toString n}-\${builtins.getEnv "SALT"}" ":" (if "$2" == "chain" && n > 1 then [ (one (n - 1)) ] else [ ]);
in if "$2" == "chain" then one $1 else map one (builtins.genList (n: n + 1) $1)
NIX
}
