import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description:
    "a disk with an operating system: Debian's kernel and systemd-boot on an EFI partition, a root file system on ext4",
  image: 'qemu',
  sources: {
    'linux.deb': debian({
      path: 'pool/main/l/linux-signed-amd64/linux-image-6.1.0-50-cloud-amd64_6.1.176-1_amd64.deb',
      sha256: 'efe19f605b6f54a8352e68d85a629abb2d30b72a085faef603a9152590baa791',
      size: 26_484_304,
      snapshot: '20261122T000000Z',
    }),
    'systemd-boot.deb': debian({
      path: 'pool/main/s/systemd/systemd-boot-efi_252.39-1~deb12u2_amd64.deb',
      sha256: '8f2b81bdcfafc466882a0cae460272dbf10d8d97c6a3c1c6ea33038c155a2f5e',
      size: 113_136,
      snapshot: '20261122T000000Z',
    }),
    'busybox.deb': debian({
      path: 'pool/main/b/busybox/busybox-static_1.35.0-4+deb12u1+b1_amd64.deb',
      sha256: '3d3fdbe91d4660c873e14b092c213fe81c1da6362daa236eb25d0171eb108744',
      size: 928_188,
      snapshot: '20261122T000000Z',
    }),
  },
  files: [
    'build.sh',
    { from: 'shared/gpt.py', to: 'gpt.py' },
    { from: 'shared/make-ext4.sh', to: 'make-ext4.sh' },
    'initramfs-init',
    'init',
    'dhcp',
  ],
  command: ['bash', '/recipe/build.sh'],
});
