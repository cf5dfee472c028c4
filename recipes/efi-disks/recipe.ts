import { defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'disks with CLOUDHV.fd at the top of their partition: XFS, ext4 and FAT',
  image: 'qemu',
  inputs: { edk2: 'edk2' },
  files: ['build.sh', { from: 'shared/make-ext4.sh', to: 'make-ext4.sh' }],
  command: ['bash', '/recipe/build.sh'],
});
