import { definePlatformRecipe } from 'vmbuild';

export default definePlatformRecipe((platform) => ({
  description: `the flash image for ${platform.name}: one file, ready for QEMU or a programmer`,
  image: 'base',
  inputs: { coreboot: `coreboot-${platform.name}` },
  files: ['build.sh'],
  env: {
    PLATFORM: platform.name,
    FLASH_SIZE: String(platform.flash.size),
    FLASH_BUDGET: String(platform.flash.budget),
  },
  command: ['bash', '/recipe/build.sh'],
  flashBudget: {
    limit: platform.flash.budget,
    parts: {
      'Linux kernel': { input: `linux-${platform.name}`, file: 'bzImage' },
      initramfs: { input: 'u-root', file: 'initramfs.cpio.xz' },
    },
  },
}));
