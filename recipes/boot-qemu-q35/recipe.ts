import { defineRecipe } from 'vmbuild';
import { BOOT_INPUTS, BOOT_SCENARIOS } from '../shared/bootScenarios.ts';

// A recipe of its own and no function of a platform: of all boards, QEMU can only be this one.
export default defineRecipe({
  ...BOOT_SCENARIOS,
  description:
    "the proof that rom-qemu-q35 boots to EDK2's Shell>: from XFS, ext4, FAT, from flash, past what is broken",
  inputs: { ...BOOT_INPUTS, disks: 'efi-disks', bad: 'bad-disks' },
});
