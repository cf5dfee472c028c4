/** What each of these recipes needs beside its disks. */
export const BOOT_INPUTS = { rom: 'rom-qemu-q35', qemu: 'qemu' };

/** How a recipe boots a ROM through the scenarios of its own scenarios.json; the ROM and the disks are its inputs. */
export const BOOT_SCENARIOS = {
  image: 'qemu',
  files: [
    { from: 'shared/boot/boot.py', to: 'boot.py' },
    { from: 'shared/boot/machine.py', to: 'machine.py' },
    'scenarios.json',
  ],
  command: ['python3', '-B', '/recipe/boot.py'],
};
