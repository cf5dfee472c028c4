import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description:
    'QEMU 10.0.13, the emulator that boots ROMs, with a defect of its AMD-V mended that stops and crashes guests',
  image: 'emulator',
  sources: {
    'qemu.tar.xz': debian({
      path: 'pool/main/q/qemu/qemu_10.0.13+ds.orig.tar.xz',
      sha256: '6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae',
      size: 40_010_016,
      snapshot: '20261122T000000Z',
    }),
  },
  files: ['build.sh', 'patches/0001-svm-deliver-an-injected-interrupt-once.patch'],
  command: ['bash', '/recipe/build.sh'],
});
