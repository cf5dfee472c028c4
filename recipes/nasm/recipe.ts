import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'assembler for the few files of coreboot in its syntax: nasm 2.16.03',
  image: 'toolchain',
  sources: {
    'nasm.tar.xz': debian({
      path: 'pool/main/n/nasm/nasm_2.16.03.orig.tar.xz',
      sha256: '1412a1c760bbd05db026b6c0d1657affd6631cd0a63cddb6f73cc6d4aa616148',
      size: 1_032_388,
      snapshot: '20261122T000000Z',
    }),
  },
  files: ['build.sh', { from: 'shared/toolchain.sh', to: 'toolchain.sh' }],
  command: ['bash', '/recipe/build.sh'],
});
