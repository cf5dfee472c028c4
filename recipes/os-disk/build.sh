#!/usr/bin/env bash
# Makes a disk with an operating system, without root or loop devices.
#   /in/linux.deb, systemd-boot.deb, busybox.deb   from Debian
#   /recipe/initramfs-init   loads the disk's driver and goes to the root file system
#   /recipe/init             the first program of the root file system
#   /recipe/dhcp             sets up what the DHCP server says
#   -> /out/os.img: GPT, an EFI system partition with systemd-boot, kernel and initramfs; a root file system on ext4
#      /out/two-processors.img: a disk with nothing but options of vmboot
# Every id is given, and every time is $SOURCE_DATE_EPOCH.
set -euo pipefail
# File systems keep the modes of what is copied into them; FAT keeps local time.
umask 022
export TZ=UTC

export MTOOLS_SKIP_CHECK=1
for name in linux systemd-boot busybox; do dpkg-deb -x "/in/$name.deb" debian; done
kernel=$(echo debian/boot/vmlinuz-*)
modules=$(echo debian/lib/modules/*)

# The initramfs: the drivers that Debian's kernel does not have built in, in the order in which they are loaded.
drivers=(
  virtio/virtio virtio/virtio_ring virtio/virtio_pci_modern_dev virtio/virtio_pci_legacy_dev virtio/virtio_pci
  block/virtio_blk
)
network=(net/core/failover drivers/net/net_failover drivers/net/virtio_net)
mkdir -p initramfs/{bin,modules,root} top/{bin,sbin,dev,proc,sys,tmp,modules,var/lib/vmbuild}
for driver in "${drivers[@]}"; do
  cp "$modules/kernel/drivers/$driver.ko" initramfs/modules/
  basename "$driver" >> initramfs/modules/order
done
for driver in "${network[@]}"; do
  cp "$modules/kernel/$driver.ko" top/modules/
  basename "$driver" >> top/modules/order
done
for tree in initramfs top; do
  cp debian/bin/busybox "$tree/bin/"
  for applet in $(debian/bin/busybox --list); do
    [[ $applet == busybox || $applet == init ]] || ln -s busybox "$tree/bin/$applet"
  done
done
install -m 0755 /recipe/initramfs-init initramfs/init
install -m 0755 /recipe/init top/sbin/init
install -m 0755 /recipe/dhcp top/sbin/dhcp

normalise() { find "$1" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +; }
normalise initramfs
(cd initramfs && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc -R 0:0 --reproducible --quiet) | xz --check=crc32 -T1 > initrd

# quiet: each character that the kernel prints is several exits from two machines; that is most of its start.
# The EFI system partition, as an installation medium has one: \EFI\BOOT\BOOTX64.EFI is what firmware starts unasked.
mkdir -p esp/EFI/BOOT esp/loader/entries
cp debian/usr/lib/systemd/boot/efi/systemd-bootx64.efi esp/EFI/BOOT/BOOTX64.EFI
cp "$kernel" esp/vmlinuz
cp initrd esp/initrd
printf '%s\n' 'timeout 0' 'default debian.conf' > esp/loader/loader.conf
printf '%s\n' 'title Debian' 'linux /vmlinuz' 'initrd /initrd' \
  'options console=ttyS0,115200 quiet panic=-1 root=/dev/vda2' > esp/loader/entries/debian.conf
normalise esp
truncate -s 64M vfat
mkfs.vfat --invariant -F 32 -n ESP vfat >/dev/null
# One by one, because mcopy -s takes what is in a folder in the order in which the file system lists it. Folders are made at
# $SOURCE_DATE_EPOCH, files keep their times.
(cd esp && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort) | while read -r path; do
  if [[ -d esp/$path ]]; then mmd -i vfat "::$path"; else mcopy -m -i vfat "esp/$path" "::$path"; fi
done

/recipe/make-ext4.sh top ext4 64M root
python3 /recipe/gpt.py /out/os.img esp:vfat linux:ext4

mkdir options
printf '%s\n' 'cpus = 2' 'memory = 4G' > options/vmboot.conf
/recipe/make-ext4.sh options options.ext4 16M options
python3 /recipe/gpt.py /out/two-processors.img linux:options.ext4
