import { defineRecipe } from 'vmbuild';
import { BOOT_INPUTS, BOOT_SCENARIOS } from '../shared/bootScenarios.ts';

export default defineRecipe({
  ...BOOT_SCENARIOS,
  description: 'the proof that rom-qemu-q35 ends in a shell with a reason where no machine can run',
  inputs: { ...BOOT_INPUTS, bad: 'bad-disks' },
});
