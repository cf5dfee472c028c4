#!/usr/bin/env bash
# Compares what was wanted from Kconfig with what it made of it.
#   check-wanted.sh CONFIG WANTED...
# Kconfig drops a setting whose dependencies are missing without a word, and firmware that silently
# lacks something is worse than a failed build. A setting that stands in several WANTED files, or
# several times in one, has to be as its last line says.
set -euo pipefail

config=$1
shift

# Prints "NAME VALUE" for each setting on standard input.
settings() {
  local line
  while IFS= read -r line; do
    if [[ $line =~ ^(CONFIG_[A-Za-z0-9_]+)=(.*)$ ]]; then
      printf '%s %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    elif [[ $line =~ ^'# '(CONFIG_[A-Za-z0-9_]+)' is not set'$ ]]; then
      printf '%s n\n' "${BASH_REMATCH[1]}"
    elif [[ $line == CONFIG_* ]]; then
      printf 'no setting: %s\n' "$line" >&2
      return 1
    fi
  done
}
got_list=$(settings < "$config")
wanted_list=$(cat -- "$@" | settings)

declare -A got wanted
while read -r name value; do got[$name]=$value; done <<< "$got_list"
while read -r name value; do wanted[$name]=$value; done <<< "$wanted_list"

lost=0
for name in "${!wanted[@]}"; do
  # A symbol that is off may also be one that does not exist in this configuration.
  if [[ ${got[$name]:-n} != "${wanted[$name]}" ]]; then
    printf 'wanted %s=%s, Kconfig made it %s\n' "$name" "${wanted[$name]}" "${got[$name]:-n}" >&2
    lost=$((lost + 1))
  fi
done
if ((lost > 0)); then
  printf '%s of %s wanted settings did not stick: something that they depend on is off\n' "$lost" "${#wanted[@]}" >&2
  exit 1
fi
printf 'all %s wanted settings stuck\n' "${#wanted[@]}"
