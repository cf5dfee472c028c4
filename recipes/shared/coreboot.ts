import { debian } from 'vmbuild';

/** coreboot's source, without git and without blobs. */
export const corebootSource = debian({
  path: 'pool/main/c/coreboot/coreboot_25.09+dfsg.orig.tar.xz',
  sha256: '96bfaa8d6d0c4df548e39baf48a4de64abbe265f586ae20a74685c5604ac0865',
  size: 21_685_860,
  snapshot: '20261122T000000Z',
});
