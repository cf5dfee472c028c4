import { defineRecipe } from 'vmbuild';
import { BOOT_INPUTS, BOOT_SCENARIOS } from '../shared/bootScenarios.ts';

export default defineRecipe({
  ...BOOT_SCENARIOS,
  description:
    'the proof that rom-qemu-q35 boots an operating system with two processors and 4 GiB in its virtual machine',
  inputs: { ...BOOT_INPUTS, os: 'os-disk' },
});
