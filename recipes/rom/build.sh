#!/usr/bin/env bash
# Hands over the flash image under a clear name, after checking that it fits the chip exactly.
#   /in/coreboot/coreboot.rom, cbfs.txt
#   $PLATFORM, $FLASH_SIZE and $FLASH_BUDGET (bytes)
#   -> /out/vmboot-$PLATFORM.rom, /out/layout.txt
set -euo pipefail

fail() { printf 'rom: %s\n' "$*" >&2; exit 1; }

rom=/in/coreboot/coreboot.rom
size=$(stat -c %s "$rom")
((size == FLASH_SIZE)) || fail "the image has $size bytes, the flash chip of $PLATFORM has $FLASH_SIZE"
# An x86 processor's first instruction is in the last 16 bytes of the flash. Erased flash is all ones.
[[ $(tail -c 16 "$rom" | od -An -tx1 | tr -d ' f\n') != '' ]] || fail 'the image has no reset vector'
# What the file system in the flash takes is the flash's size less its empty room; the budget is for that.
empty=$(awk '$1 == "(empty)" && $3 == "null" { sum += $4 } END { printf "%d", sum }' /in/coreboot/cbfs.txt)
if ((size - empty > FLASH_BUDGET)); then
  cat /in/coreboot/cbfs.txt >&2
  fail "$((size - empty)) bytes are taken, the budget is $FLASH_BUDGET; the table above says by what"
fi
install -m 0644 "$rom" "/out/vmboot-$PLATFORM.rom"
install -m 0644 /in/coreboot/cbfs.txt /out/layout.txt
printf 'rom: vmboot-%s.rom has %s bytes, %s of them taken\n' "$PLATFORM" "$size" "$((size - empty))"
