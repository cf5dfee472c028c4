import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'assembler, linker and the like for i386-elf: GNU binutils 2.44 with the patches of coreboot',
  image: 'toolchain',
  inputs: { patches: 'crossgcc-patches' },
  sources: {
    'binutils.tar.xz': debian({
      path: 'pool/main/b/binutils/binutils_2.44.orig.tar.xz',
      sha256: 'c41a0272424f41bb01bf828e7ffef1b2d59d1788064fd6b5f1d971717e9320b8',
      size: 27_504_768,
      snapshot: '20261122T000000Z',
    }),
  },
  files: ['build.sh', { from: 'shared/toolchain.sh', to: 'toolchain.sh' }],
  command: ['bash', '/recipe/build.sh'],
});
