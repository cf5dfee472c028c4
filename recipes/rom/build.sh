#!/usr/bin/env bash
# Hands over the flash image under a clear name, after checking that it fits the chip exactly.
#   /in/coreboot/coreboot.rom, flashmap.txt, cbfs.txt
#   $PLATFORM, and in bytes $FLASH_SIZE, $FLASH_TAKEN (the vendor's, at the chip's beginning), $FLASH_BUDGET
#   $LACKS: the vendor blobs that the image is made without, one a line, fields between tabs:
#     name, licence class, what it is, where to get it, sha256 or nothing
#   -> /out/vmboot-$PLATFORM.rom, or with $LACKS
#      /out/vmboot-$PLATFORM-without-blobs.rom and /out/NOT-FLASHABLE.txt
#      /out/layout.txt
set -euo pipefail

fail() { printf 'rom: %s\n' "$*" >&2; exit 1; }

rom=/in/coreboot/coreboot.rom
size=$(stat -c %s "$rom")
((size == FLASH_SIZE)) || fail "the image has $size bytes, the flash chip of $PLATFORM has $FLASH_SIZE"
# An x86 processor's first instruction is in the last 16 bytes of the flash. Erased flash is all ones.
[[ $(tail -c 16 "$rom" | od -An -tx1 | tr -d ' f\n') != '' ]] || fail 'the image has no reset vector'
(($(head -c "$FLASH_TAKEN" "$rom" | tr -d '\377' | wc -c) == 0)) ||
  fail "there is something in the first $FLASH_TAKEN bytes, which are the vendor's"
# What we take is the flash less the vendor's share and less the empty room; the budget is for that.
empty=$(awk '$1 == "(empty)" && $3 == "null" { sum += $4 } END { printf "%d", sum }' /in/coreboot/cbfs.txt)
used=$((size - FLASH_TAKEN - empty))
if ((used > FLASH_BUDGET)); then
  cat /in/coreboot/cbfs.txt >&2
  fail "$used bytes are used, the budget is $FLASH_BUDGET; the table above says by what"
fi
cat /in/coreboot/flashmap.txt /in/coreboot/cbfs.txt > /out/layout.txt

name=vmboot-$PLATFORM
if [[ -n ${LACKS-} ]]; then
  name+=-without-blobs
  {
    printf 'NOT TO BE FLASHED\n\n'
    printf '%s.rom is all of the firmware for %s that can be built from source.\n' "$name" "$PLATFORM"
    printf 'On its own it does not start the machine. It lacks:\n'
    while IFS=$'\t' read -r slot licence what from sha256; do
      printf '\n%s (%s)\n  %s\n  from: %s\n' "$slot" "$licence" "$what" "$from"
      [[ -z $sha256 ]] || printf '  sha256: %s\n' "$sha256"
    done <<< "$LACKS"
  } > /out/NOT-FLASHABLE.txt
  cat /out/NOT-FLASHABLE.txt
fi
install -m 0644 "$rom" "/out/$name.rom"
printf 'rom: %s.rom has %s bytes, %s of them used\n' "$name" "$size" "$used"
