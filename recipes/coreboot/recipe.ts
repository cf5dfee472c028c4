import { definePlatformRecipe } from 'vmbuild';
import { corebootSource } from '../shared/coreboot.ts';
import { vmbootFlash } from '../shared/vmbootFlash.ts';

export default definePlatformRecipe((platform) => ({
  description: `coreboot for ${platform.name}, with Linux and the initramfs as its payload`,
  image: 'firmware',
  inputs: { linux: `linux-${platform.name}`, initramfs: 'u-root', toolchain: 'toolchain' },
  sources: { 'coreboot.tar.xz': corebootSource },
  files: [
    'build.sh',
    'patches/0001-date-from-source-date-epoch.patch',
    { from: 'shared/check-wanted.sh', to: 'check-wanted.sh' },
    'check-symbols.py',
    platform.file('coreboot.defconfig'),
    ...(platform.corebootFiles ?? []).map((path) => platform.file(path)),
    ...(platform.corebootFiles?.includes('fsp.json') === true ? ['fsp-headers.py'] : []),
  ],
  env: { KERNEL_COMMAND_LINE: platform.kernelCommandLine },
  command: ['bash', '/recipe/build.sh'],
  flashBudget: vmbootFlash(platform),
  lacks: platform.blobs ?? {},
}));
