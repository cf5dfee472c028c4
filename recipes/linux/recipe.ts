import { debian, definePlatformRecipe } from 'vmbuild';

export default definePlatformRecipe((platform) => ({
  description: `Linux with KVM, as it lies in the flash of ${platform.name}`,
  image: 'firmware',
  sources: {
    'linux.tar.xz': debian({
      path: 'pool/main/l/linux/linux_6.12.107.orig.tar.xz',
      sha256: 'efc76d3c78a5d65f42724118c437d11db1c9f6309a5f024ee9a8b1978fdc6919',
      size: 151_398_592,
      snapshot: '20261122T000000Z',
    }),
  },
  files: [
    'build.sh',
    'linux.fragment',
    { from: 'shared/check-wanted.sh', to: 'check-wanted.sh' },
    platform.file('linux.fragment'),
  ],
  command: ['bash', '/recipe/build.sh'],
}));
