import { defineRecipe } from 'vmbuild';
import { corebootSource } from '../shared/coreboot.ts';

// A step of its own, so that another coreboot with the same patches does not build the compiler anew.
export default defineRecipe({
  description: "coreboot's patches for binutils and gcc",
  image: 'base',
  sources: { 'coreboot.tar.xz': corebootSource },
  files: ['extract.sh'],
  command: ['bash', '/recipe/extract.sh'],
});
