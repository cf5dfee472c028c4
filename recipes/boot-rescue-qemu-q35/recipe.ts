import { defineRecipe } from 'vmbuild';

export default defineRecipe({
  description: 'the proof that rom-qemu-q35 ends in a shell with a reason where no machine can run',
  image: 'qemu',
  inputs: { rom: 'rom-qemu-q35', bad: 'bad-disks' },
  files: [
    { from: 'shared/boot/boot.py', to: 'boot.py' },
    { from: 'shared/boot/machine.py', to: 'machine.py' },
    'scenarios.json',
  ],
  command: ['python3', '-B', '/recipe/boot.py'],
});
