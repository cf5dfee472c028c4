import { defineRecipe } from 'vmbuild';
import { corebootSource } from '../shared/coreboot.ts';

export default defineRecipe({
  description: "coreboot's tools for finished images: cbfstool, ifittool, ifdtool",
  image: 'firmware',
  sources: { 'coreboot.tar.xz': corebootSource },
  files: ['build.sh'],
  command: ['bash', '/recipe/build.sh'],
});
