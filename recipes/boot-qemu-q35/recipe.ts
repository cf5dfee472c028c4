import { defineRecipe } from 'vmbuild';

// A recipe of its own and no function of a platform: of all boards, QEMU can only be this one.
export default defineRecipe({
  description: "the proof that rom-qemu-q35 boots: to EDK2's Shell>, with CLOUDHV.fd on XFS, ext4 and FAT",
  image: 'qemu',
  inputs: { rom: 'rom-qemu-q35', disks: 'efi-disks' },
  files: ['boot.py'],
  env: {
    // The result is kept for as long as the ROM stays the same, so one lucky boot must not be enough: each disk makes
    // one, three in all.
    ROUNDS: '1',
    DISKS: 'xfs ext4 vfat',
    MARKS: 'Welcome to u-root\nUEFI Interactive Shell\nShell>',
    // Seconds for one boot. An idle machine takes 20.
    TIMEOUT: '300',
  },
  command: ['python3', '/recipe/boot.py'],
});
