import type { FlashBudget, Platform } from 'vmbuild';

/** What VMBoot asks of a board: room for kernel, initramfs and coreboot, for vendor blobs, and for all of them to grow. */
const NEEDED = 10 * 1024 * 1024;

/**
 * What kernel and initramfs, with the firmware in it, may take of that. The rest is for coreboot, for vendor blobs, and for
 * what the next versions add.
 */
const PAYLOAD = 7.5 * 1024 * 1024;

/** What has to fit into a platform's flash. Sizes of parts that are not built yet are those of qemu-q35. */
export function vmbootFlash(platform: Platform): FlashBudget {
  return {
    flash: platform.flash,
    needed: NEEDED,
    limit: Math.min(platform.flash.budget, PAYLOAD),
    parts: {
      'Linux kernel': { input: `linux-${platform.name}`, file: 'bzImage', about: 3_850_000 },
      initramfs: { input: 'u-root', file: 'initramfs.cpio.zst', about: 3_700_000 },
    },
  };
}
