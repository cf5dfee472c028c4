#!/usr/bin/env bash
# Puts the vendor blobs into a board's image.
#   /in/rom/                     vmboot-$PLATFORM-without-blobs.rom, or vmboot-$PLATFORM.rom if it lacks none
#   /in/tools/                   cbfstool, ifittool, ifdtool
#   /in/fsp[tms].bin             components of the FSP
#   /in/cpu_microcode_blob.bin   microcode updates; or /in/microcode.deb, Debian's package of them, to take those for
#                                $PROCESSORS from (family-model-stepping, between blanks)
#   /in/fd.bin, me.bin, gbe.bin  the regions below ours, from a dump of the machine's chip; or none of them
#   $FLASH_SIZE, $BIOS_OFFSET    the chip, and where our region begins; in bytes
#   -> /out/vmboot-$PLATFORM.rom, if there are regions or nothing was lacking: the whole chip
#      /out/vmboot-$PLATFORM-bios-region.rom, otherwise: as large as the chip, but only our region is to be written
#      /out/FLASHING.txt, /out/layout.txt, and the licence of the microcode
set -euo pipefail

fail() { printf 'flash: %s\n' "$*" >&2; exit 1; }

whole=vmboot-$PLATFORM.rom
if [[ -f /in/rom/$whole ]]; then
  install -m 0644 "/in/rom/$whole" /in/rom/layout.txt /out/
  printf '%s is complete: write it to the whole chip.\n' "$whole" > /out/FLASHING.txt
  exit 0
fi
rom=$PWD/image.rom
install -m 0644 "/in/rom/vmboot-$PLATFORM-without-blobs.rom" "$rom"
(($(stat -c %s "$rom") == FLASH_SIZE)) || fail "the image has $(stat -c %s "$rom") bytes, the flash chip $FLASH_SIZE"
tool() { "/in/tools/$1" "$rom" "${@:2}"; }

# Bytes of a file in the image, or of its largest gap for the name "(empty)".
bytes_of() { tool cbfstool print -r COREBOOT | awk -v name="$1" '$1 == name && $4 > most { most = $4 } END { print most + 0 }'; }

# add FILE NAME OPTION...
add() {
  local file=$1 name=$2
  if ! tool cbfstool add -r COREBOOT -f "$file" -n "$name" "${@:3}" >add.log 2>&1; then
    cat add.log >&2
    tool cbfstool print -r COREBOOT >&2
    fail "$name has no room: it has $(stat -c %s "$file") bytes, the largest gap in the image $(bytes_of '(empty)')"
  fi
  printf 'flash: %s: %s bytes in the image\n' "$name" "$(bytes_of "$name")"
}

# As coreboot's own Makefile adds them for this chipset: FSP-M runs in place, before there is memory to unpack it to.
for part in t m; do
  [[ ! -f /in/fsp$part.bin ]] || add "/in/fsp$part.bin" "fsp$part.bin" -t fsp --xip
done
[[ ! -f /in/fsps.bin ]] || add /in/fsps.bin fsps.bin -t fsp -c LZMA

microcode=/in/cpu_microcode_blob.bin
if [[ ! -f $microcode && -f /in/microcode.deb ]]; then
  microcode=$PWD/microcode.bin
  mkdir package
  dpkg-deb --fsys-tarfile /in/microcode.deb | tar -x -C package --no-same-owner
  for processor in $PROCESSORS; do
    updates=
    for name in "$processor" "$processor.initramfs"; do
      for folder in package/usr/lib package/lib; do
        [[ -n $updates || ! -f $folder/firmware/intel-ucode/$name ]] || updates=$folder/firmware/intel-ucode/$name
      done
    done
    [[ -n $updates ]] || fail "the package has no microcode for the processor $processor"
    cat "$updates"
  done > "$microcode"
  # Whoever passes the updates on has to pass this on, too.
  install -m 0644 package/usr/share/doc/intel-microcode/copyright /out/LICENCE.microcode.txt
fi
if [[ -f $microcode ]]; then
  add "$microcode" cpu_microcode_blob.bin -t microcode -a 16
  # The table is a file of one header and as many empty entries as coreboot was told to leave.
  entries=$(($(bytes_of intel_fit) / 16 - 1))
  /in/tools/ifittool -f "$rom" -r COREBOOT -a -n cpu_microcode_blob.bin -t 1 -s "$entries" >fit.log 2>&1 ||
    { cat fit.log >&2; fail "the microcode updates could not be entered into the table of $entries entries"; }
fi

name=$whole
if [[ -f /in/fd.bin ]]; then
  cp "$rom" stitched.rom
  dd if=/in/fd.bin of="$rom" conv=notrunc status=none
  # Layout of the 100 series and later; where the regions are, the descriptor itself says.
  for region in gbe me; do
    [[ -f /in/$region.bin ]] || continue
    /in/tools/ifdtool -p ifd2 -i "$region:/in/$region.bin" -O injected.rom "$rom" >ifd.log 2>&1 ||
      { cat ifd.log >&2; fail "the region $region could not be put in"; }
    mv injected.rom "$rom"
  done
  (($(stat -c %s "$rom") == FLASH_SIZE)) || fail 'the image has another size than the chip, after the regions were put in'
  cmp <(tail -c "+$((BIOS_OFFSET + 1))" "$rom") <(tail -c "+$((BIOS_OFFSET + 1))" stitched.rom) ||
    fail 'a region of the dump reaches into ours'
  mkdir regions
  (cd regions && /in/tools/ifdtool -p ifd2 -x "$rom" >/dev/null 2>&1)
  for region in 0_flashdescriptor:fd 2_intel_me:me 3_gbe:gbe; do
    [[ ! -f /in/${region#*:}.bin ]] || cmp "regions/flashregion_${region%:*}.bin" "/in/${region#*:}.bin" ||
      fail "the region ${region#*:} is not in the image as it was in the dump"
  done
  cat > /out/FLASHING.txt <<TEXT
$name is the whole flash chip of ONE machine: the one that the dump is from. It holds that machine's
management engine, which is not yours to pass on, and its network address, if it has one there.

Keep the dump: it is the only way back. With a programmer at the chip, the machine being off:
  flashrom -p <programmer> -w $name
Our region only, leaving the others as they are on the chip:
  flashrom -p <programmer> --ifd -i bios -N -w $name
TEXT
else
  name=vmboot-$PLATFORM-bios-region.rom
  cat > /out/FLASHING.txt <<TEXT
$name is as large as the flash chip, but ONLY ITS REGION bios (from byte $BIOS_OFFSET on) is to be
written. Everything before that is empty: written to the whole chip, it would erase the management
engine and the flash descriptor, and the machine would not start.

Read the chip first, twice, compare, and keep the dump: it is the only way back.
  flashrom -p <programmer> -r dump.bin
Then write the region, and nothing else:
  flashrom -p <programmer> --ifd -i bios -N -w $name
TEXT
fi
tool cbfstool layout -w > /out/layout.txt
tool cbfstool print -r COREBOOT >> /out/layout.txt
/in/tools/ifittool -f "$rom" -r COREBOOT -D >> /out/layout.txt 2>&1 || true
install -m 0644 "$rom" "/out/$name"
cat /out/layout.txt /out/FLASHING.txt
