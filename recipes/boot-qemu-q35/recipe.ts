import { defineRecipe } from 'vmbuild';

// A recipe of its own and no function of a platform: of all boards, QEMU can only be this one.
export default defineRecipe({
  description:
    "the proof that rom-qemu-q35 boots to EDK2's Shell>: from XFS, ext4, FAT, from flash, past what is broken",
  image: 'qemu',
  inputs: { rom: 'rom-qemu-q35', disks: 'efi-disks', bad: 'bad-disks' },
  files: [
    { from: 'shared/boot/boot.py', to: 'boot.py' },
    { from: 'shared/boot/machine.py', to: 'machine.py' },
    'scenarios.json',
  ],
  command: ['python3', '-B', '/recipe/boot.py'],
});
