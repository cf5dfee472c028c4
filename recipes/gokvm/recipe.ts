import { defineRecipe, gomod, goToolchain } from 'vmbuild';

export default defineRecipe({
  description: "gokvm's source with our patches, after its tests",
  image: 'firmware',
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
    'patches/0001-pci-give-every-device-a-configuration-space.patch',
    'patches/0002-machine-answer-unknown-ports-and-memory-as-hardware-.patch',
    'patches/0003-kvm-let-the-PIT-answer-port-0x61.patch',
    'patches/0004-machine-do-not-fill-the-guest-s-memory-with-poison.patch',
    'patches/0005-iodev-tell-the-right-time.patch',
    'patches/0006-kvm-machine-do-not-take-an-interrupted-run-for-an-ex.patch',
    'patches/0007-machine-vmm-end-when-the-guest-shuts-down-resets-or-.patch',
    'patches/0008-virtio-a-common-transport-with-checked-queues-disks-.patch',
    'patches/0009-machine-keep-dev-kvm-open.patch',
    'patches/0010-pvh-look-for-the-entry-in-notes-only.patch',
  ],
  command: ['bash', '/recipe/build.sh'],
});
