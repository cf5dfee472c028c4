#!/usr/bin/env bash
# Makes disks that are wrong in every way that vmboot has to get past.
#   /in/edk2/CLOUDHV.fd
#   -> /out/broken.img         a good CLOUDHV.fd, after partitions that are no use
#      /out/hopeless.img       nothing but partitions that are no use, one of them with an ELF file that has no PVH entry
#      /out/triple-fault.img   a firmware that crashes
#      /out/spin.img           a firmware that does nothing, for ever
set -euo pipefail
# File systems keep the modes of what is copied into them.
umask 022

# partition NAME: a file system of the folder NAME
partition() { /recipe/make-ext4.sh "$1" "$1.ext4" 16M "$1"; }

# It says that it is XFS, and nothing more.
printf 'XFSB' > unmountable
truncate -s 16M unmountable
mkdir truncated empty text huge good no-pvh
head -c 2000000 /in/edk2/CLOUDHV.fd > truncated/CLOUDHV.fd
: > empty/CLOUDHV.fd
echo 'This is no firmware.' > text/CLOUDHV.fd
truncate -s 3G huge/CLOUDHV.fd
cp /in/edk2/CLOUDHV.fd good/
parts=(linux:unmountable)
for name in truncated empty text huge good; do
  partition "$name"
  parts+=("linux:$name.ext4")
done
python3 /recipe/gpt.py /out/broken.img "${parts[@]}"

python3 /recipe/firmware.py no-pvh no-pvh/CLOUDHV.fd
partition no-pvh
python3 /recipe/gpt.py /out/hopeless.img linux:unmountable linux:no-pvh.ext4

for kind in triple-fault spin; do
  mkdir "$kind"
  python3 /recipe/firmware.py "$kind" "$kind/CLOUDHV.fd"
  printf '# The default is longer than a test may take.\nwatchdog = 5s\n' > "$kind/vmboot.conf"
  partition "$kind"
  python3 /recipe/gpt.py "/out/$kind.img" "linux:$kind.ext4"
done
