import { type BlobSlots, definePlatformRecipe } from 'vmbuild';
import { vmbootFlash } from '../shared/vmbootFlash.ts';

export default definePlatformRecipe((platform) => {
  const { size, taken, budget } = platform.flash;
  const lacks = platform.blobs ?? {};
  const complete = Object.keys(lacks).length === 0;
  return {
    description: complete
      ? `the flash image for ${platform.name}: one file, ready for QEMU or a programmer`
      : `the flash image for ${platform.name} without its vendor blobs: complete but for these, not to be flashed as it is`,
    image: 'base',
    inputs: { coreboot: `coreboot-${platform.name}` },
    files: ['build.sh'],
    env: {
      PLATFORM: platform.name,
      FLASH_SIZE: String(size),
      FLASH_TAKEN: String(Object.values(taken ?? {}).reduce((sum, bytes) => sum + bytes, 0)),
      FLASH_BUDGET: String(budget),
      ...(complete ? {} : { LACKS: asLines(lacks) }),
    },
    command: ['bash', '/recipe/build.sh'],
    flashBudget: vmbootFlash(platform),
    lacks,
  };
});

/** One line per slot for build.sh: name, licence class, what it is, where to get it, digest or nothing; between tabs. */
function asLines(slots: BlobSlots): string {
  return Object.entries(slots)
    .map(([name, { what, licence, optional, from, sha256 }]) =>
      [name, optional === true ? `${licence}, optional` : licence, what, from.join('; or '), sha256 ?? ''].join('\t'),
    )
    .join('\n');
}
