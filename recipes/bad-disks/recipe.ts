import { defineRecipe } from 'vmbuild';

export default defineRecipe({
  description:
    'disks that vmboot has to get past: unmountable, with a CLOUDHV.fd that is truncated, empty, no firmware, huge, or crashes',
  image: 'qemu',
  inputs: { edk2: 'edk2' },
  files: [
    'build.sh',
    'firmware.py',
    { from: 'shared/gpt.py', to: 'gpt.py' },
    { from: 'shared/make-ext4.sh', to: 'make-ext4.sh' },
  ],
  command: ['bash', '/recipe/build.sh'],
});
