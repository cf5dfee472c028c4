import { debian, definePlatformRecipe } from 'vmbuild';
import { vmbootFlash } from '../shared/vmbootFlash.ts';

export default definePlatformRecipe((platform) => ({
  description: `coreboot for ${platform.name}, with Linux and the initramfs as its payload`,
  image: 'firmware',
  inputs: { linux: `linux-${platform.name}`, initramfs: 'u-root' },
  sources: {
    'coreboot.tar.xz': debian({
      path: 'pool/main/c/coreboot/coreboot_25.09+dfsg.orig.tar.xz',
      sha256: '96bfaa8d6d0c4df548e39baf48a4de64abbe265f586ae20a74685c5604ac0865',
      size: 21_685_860,
      snapshot: '20261122T000000Z',
    }),
  },
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
