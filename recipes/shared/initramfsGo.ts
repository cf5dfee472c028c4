import { gomod, goToolchain } from 'vmbuild';

/** What everything of the initramfs is compiled with: the Go toolchain, and the modules of the recipe's own copy of go.sum. */
export const INITRAMFS_GO = {
  go: goToolchain({
    version: 'go1.26.8',
    h1: 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=',
    tree: '4bee7aab35d083764490734c2422dc1c13f17bf5aaadfe7b888b284c8d5beef1',
  }),
  gomod: gomod({
    sum: 'go.sum',
    tree: '017f11130976dfb0983c97cba8f06b8e245f51aebc45ea733676f2f7c63fa0f1',
  }),
};
