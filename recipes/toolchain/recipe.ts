import { defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'the cross toolchain that coreboot is compiled with: gcc, binutils, nasm, iasl',
  image: 'base',
  inputs: { binutils: 'binutils', gcc: 'gcc', nasm: 'nasm', iasl: 'iasl' },
  files: ['build.sh', 'try.c'],
  command: ['bash', '/recipe/build.sh'],
});
