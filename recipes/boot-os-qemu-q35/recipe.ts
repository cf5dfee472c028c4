import { defineRecipe } from 'vmbuild';

export default defineRecipe({
  description:
    'the proof that rom-qemu-q35 boots an operating system, which writes to its disk, uses the network and switches off',
  image: 'qemu',
  inputs: { rom: 'rom-qemu-q35', os: 'os-disk' },
  files: [
    { from: 'shared/boot/boot.py', to: 'boot.py' },
    { from: 'shared/boot/machine.py', to: 'machine.py' },
    'scenarios.json',
  ],
  command: ['python3', '-B', '/recipe/boot.py'],
});
