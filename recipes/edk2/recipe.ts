import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: "CLOUDHV.fd: EDK2's UEFI firmware for virtual machines under gokvm",
  image: 'firmware',
  sources: {
    'edk2.tar.xz': debian({
      path: 'pool/main/e/edk2/edk2_2025.02.orig.tar.xz',
      sha256: 'b63b6053d6d89c74d9291f9e96fde1584be99e6fb9c169ba9511505129d6b049',
      size: 29_646_336,
      snapshot: '20261122T000000Z',
    }),
  },
  files: [
    'build.sh',
    'patches/0001-no-brotli.patch',
    'patches/0002-genfw-leaf-name.patch',
    'patches/0003-restore-cr8-if-changed.patch',
  ],
  command: ['bash', '/recipe/build.sh'],
});
