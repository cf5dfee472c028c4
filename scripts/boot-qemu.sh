#!/usr/bin/env bash
# Boots a ROM in QEMU, in plain emulation, and waits until its console has shown every expected text,
# in the given order.
#   scripts/boot-qemu.sh --rom ROM [--disk IMG] --expect TEXT [--expect TEXT]... [--timeout SECONDS] [--log FILE]
# Exit code 0: all seen. 1: not (the end of the console is printed). 2: wrong use.
set -euo pipefail

usage() {
  printf 'boot-qemu: %s\n' "$1" >&2
  printf 'usage: boot-qemu.sh --rom ROM [--disk IMG] --expect TEXT... [--timeout SECONDS] [--log FILE]\n' >&2
  exit 2
}

rom='' disk='' log='' timeout=300 expected=()
while (($# > 0)); do
  (($# > 1)) || usage "$1 wants a value"
  case $1 in
    --rom) rom=$2 ;;
    --disk) disk=$2 ;;
    --expect) expected+=("$2") ;;
    --timeout) timeout=$2 ;;
    --log) log=$2 ;;
    *) usage "unknown option $1" ;;
  esac
  shift 2
done
[[ -f $rom ]] || usage "no such ROM: $rom"
[[ -z $disk || -f $disk ]] || usage "no such disk image: $disk"
[[ $timeout =~ ^[0-9]+$ ]] || usage "no number of seconds: $timeout"
((${#expected[@]} > 0)) || usage 'nothing to expect'
command -v qemu-system-x86_64 >/dev/null ||
  { printf 'boot-qemu: qemu-system-x86_64 is not installed (Debian package: qemu-system-x86)\n' >&2; exit 1; }

work=$(mktemp -d)
: "${log:=$work/console.log}"
: > "$log"
qemu=''
finish() {
  if [[ -n $qemu ]]; then
    kill "$qemu" 2>/dev/null || true
    wait "$qemu" 2>/dev/null || true
  fi
  rm -rf -- "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Always emulation, never the machine's own KVM: what the virtual machine monitor inside needs is a
# processor with SVM and nested paging, and TCG has that everywhere.
arguments=(
  -M q35 -accel 'tcg,thread=multi' -cpu 'EPYC,+svm' -m 2G -smp 2
  -display none -monitor none -serial "file:$log" -no-reboot -net none -bios "$rom"
)
if [[ -n $disk ]]; then
  # snapshot: the image is only ever read
  arguments+=(-drive "file=$disk,format=raw,if=none,id=d,snapshot=on" -device 'ide-hd,drive=d,bus=ide.0')
fi
SECONDS=0
qemu-system-x86_64 "${arguments[@]}" </dev/null >"$work/qemu.log" 2>&1 &
qemu=$!

give_up() {
  printf 'boot-qemu: %s after %s s; still waiting for: %s\n' "$1" "$SECONDS" "$2" >&2
  # what TCG lacks of an EPYC is a dozen lines, and never the reason
  sed -e "/TCG doesn't support requested feature/d" -e 's/^/qemu: /' "$work/qemu.log" >&2
  printf -- '--- the end of the console ---\n' >&2
  tail -n 60 -- "$log" | tr -d '\r\000' >&2
  exit 1
}

position=0
for text in "${expected[@]}"; do
  while :; do
    # Look first, then ask whether QEMU still runs: its last words count.
    alive=true
    kill -0 "$qemu" 2>/dev/null || alive=false
    found=$(grep -aobF -m 1 -- "$text" < <(tail -c "+$((position + 1))" -- "$log")) || true
    [[ -z $found ]] || break
    "$alive" || give_up 'QEMU ended' "$text"
    ((SECONDS < timeout)) || give_up 'timed out' "$text"
    sleep 0.2
  done
  position=$((position + ${found%%:*} + ${#text}))
  printf '%4s s  %s\n' "$SECONDS" "$text"
done
