import { definePlatformRecipe } from 'vmbuild';

export default definePlatformRecipe((platform) => {
  const blobs = platform.blobs ?? {};
  const complete = Object.keys(blobs).length === 0;
  const processors = Object.values(blobs).flatMap(({ fills }) => ('cbfs' in fills ? (fills.processors ?? []) : []));
  return {
    description: complete
      ? `the image to flash for ${platform.name}, which needs no vendor blobs: rom-${platform.name} itself`
      : `the image to flash for ${platform.name}: rom-${platform.name} and the vendor blobs that were supplied on this machine`,
    image: 'firmware',
    inputs: { rom: `rom-${platform.name}`, ...(complete ? {} : { tools: 'coreboot-tools' }) },
    files: ['build.sh'],
    env: {
      PLATFORM: platform.name,
      FLASH_SIZE: String(platform.flash.size),
      BIOS_OFFSET: String(Object.values(platform.flash.taken ?? {}).reduce((sum, bytes) => sum + bytes, 0)),
      PROCESSORS: processors.join(' '),
    },
    command: ['bash', '/recipe/build.sh'],
    takes: blobs,
  };
});
