import { defineRecipe, gomod, goToolchain } from 'vmbuild';

export default defineRecipe({
  description: 'the source of vmboot, the command that starts the virtual machine, after its tests',
  image: 'base',
  inputs: { gokvm: 'gokvm' },
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
  files: [
    'build.sh',
    { from: 'u-root/go.mod', to: 'go.mod' },
    'go.sum',
    'disks.go',
    'disks_test.go',
    'filter.go',
    'filter_test.go',
    'firmware.go',
    'firmware_test.go',
    'host.go',
    'host_test.go',
    'labels.go',
    'labels_test.go',
    'main.go',
    'network.go',
    'network_test.go',
    'options.go',
    'options_test.go',
    'watchdog.go',
    'watchdog_test.go',
  ],
  command: ['bash', '/recipe/build.sh'],
});
