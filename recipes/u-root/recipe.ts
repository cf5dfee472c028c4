import { defineRecipe, gomod, goToolchain } from 'vmbuild';

export default defineRecipe({
  description: 'initramfs with u-root, vmboot with gokvm started at boot, and CLOUDHV.fd for machines without a disk',
  image: 'base',
  inputs: { gokvm: 'gokvm', vmboot: 'vmboot', edk2: 'edk2' },
  sources: {
    go: goToolchain({
      version: 'go1.26.8',
      h1: 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=',
      tree: '4bee7aab35d083764490734c2422dc1c13f17bf5aaadfe7b888b284c8d5beef1',
    }),
    gomod: gomod({
      sum: 'go.sum',
      tree: '017f11130976dfb0983c97cba8f06b8e245f51aebc45ea733676f2f7c63fa0f1',
    }),
  },
  files: ['build.sh', 'commands.txt', 'go.mod', 'go.sum', 'uinit'],
  command: ['bash', '/recipe/build.sh'],
});
