import { debian, defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'C compiler for i386-elf: gcc 14.2 with the patches of coreboot',
  image: 'toolchain',
  // Called as the finished toolchain will be: gcc finds assembler and linker below its own prefix.
  inputs: { patches: 'crossgcc-patches', toolchain: 'binutils' },
  sources: {
    'gcc.tar.gz': debian({
      path: 'pool/main/g/gcc-14/gcc-14_14.2.0.orig.tar.gz',
      sha256: 'e162a5ef3f0077ecae598c6556908d2ab80841532df3398072a96a6df6e6aa29',
      size: 94_299_633,
      snapshot: '20261122T000000Z',
    }),
  },
  files: ['build.sh', { from: 'shared/toolchain.sh', to: 'toolchain.sh' }],
  command: ['bash', '/recipe/build.sh'],
});
