import { defineRecipe, gomod, goToolchain } from 'vmbuild';

export default defineRecipe({
  description: 'initramfs with u-root, and vmboot with gokvm started at boot',
  image: 'base',
  sources: {
    go: goToolchain({
      version: 'go1.26.8',
      h1: 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=',
      tree: '0000000000000000000000000000000000000000000000000000000000000000',
    }),
    gomod: gomod({
      sum: 'go.sum',
      tree: '0000000000000000000000000000000000000000000000000000000000000000',
    }),
  },
  files: ['build.sh', 'commands.txt', 'go.mod', 'go.sum', 'uinit'],
  command: ['bash', '/recipe/build.sh'],
});
