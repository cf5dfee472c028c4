import { defineRecipe } from 'vmbuild';
import { INITRAMFS_GO } from '../shared/initramfsGo.ts';

export default defineRecipe({
  description: 'initramfs with u-root, vmboot with gokvm started at boot, and CLOUDHV.fd for machines without a disk',
  // for zstd
  image: 'firmware',
  inputs: { gokvm: 'gokvm', vmboot: 'vmboot', edk2: 'edk2' },
  sources: INITRAMFS_GO,
  files: ['build.sh', 'commands.txt', 'go.mod', 'go.sum', 'uinit'],
  command: ['bash', '/recipe/build.sh'],
});
