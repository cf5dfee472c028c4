#!/usr/bin/env bash
# Puts the parts of the cross toolchain together, and tries it in an image that has no compiler of its own.
#   /in/binutils, /in/gcc, /in/nasm, /in/iasl
#   -> /out, which has to be mounted at /in/toolchain
set -euo pipefail

fail() { printf 'toolchain: %s\n' "$*" >&2; exit 1; }

for part in binutils gcc nasm iasl; do
  # Links stay links; a file that two parts have is a mistake.
  twice=$(cd "/in/$part" && find . ! -type d -exec test -e /out/{} ';' -print)
  [[ -z $twice ]] || fail "$part has what another part has: $twice"
  cp -r "/in/$part/." /out/
done

# From here the programs are not at their place, which they can do without.
bin=/out/bin/i386-elf
"$bin-gcc" -O2 -nostdlib /recipe/try.c -lgcc -o try
[[ $("$bin-objdump" -f try) == *'file format elf32-i386'* ]] || fail 'what the compiler made is not for i386'
"$bin-nm" try | grep -q __udivdi3 || fail 'libgcc was not linked'
[[ $("$bin-gcc" -print-libgcc-file-name) == */libgcc.a ]] || fail 'there is no libgcc'
printf 'bits 32\nnop\n' > try.asm
/out/bin/nasm -f elf32 try.asm -o try.o
printf 'DefinitionBlock ("", "SSDT", 2, "VMBLD", "TRY", 1) { Name (TRY0, 1) }\n' > try.asl
/out/bin/iasl try.asl > iasl.log || { cat iasl.log >&2; fail 'iasl does not work'; }

{
  "$bin-gcc" --version | head -n 1
  "$bin-ld" --version | head -n 1
  /out/bin/nasm --version
  /out/bin/iasl -v | sed -n 's/.*ASL+/ASL+/p'
} | tee /out/versions.txt
printf 'toolchain: %s bytes\n' "$(find /out -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }')"
